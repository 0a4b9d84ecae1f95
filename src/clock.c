#include "clock.h"

#include <stdio.h>
#include <string.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int64_t (*now_source)(void);

int64_t clock_now_ns(void)
{
    return now_source ? now_source() : read_clock(CLOCK_MONOTONIC);
}

void clock_set_source(int64_t (*source)(void))
{
    now_source = source;
}

int64_t clock_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

struct timespec clock_to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = ns % NS_PER_SEC};
}

/* Not strftime(3) and strptime(3): their names follow the locale. */
static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void clock_http_date(time_t when, char out[HTTP_DATE_SIZE])
{
    struct tm tm;

    gmtime_r(&when, &tm);
    snprintf(out, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
             (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/* Matches a text against a pattern in which 'd' is a digit, '_' a digit or a blank, 'a' a letter. */
static bool looks_like(const char *text, const char *pattern)
{
    for (; *pattern; text++, pattern++) {
        bool digit = *text >= '0' && *text <= '9';
        bool letter = (*text | 0x20) >= 'a' && (*text | 0x20) <= 'z';

        if (*pattern == 'd'   ? !digit
            : *pattern == '_' ? !digit && *text != ' '
            : *pattern == 'a' ? !letter
                              : *text != *pattern)
            return false;
    }
    return !*text;
}

static int number(const char *text, size_t len)
{
    int value = 0;

    for (size_t i = 0; i < len; i++)
        value = 10 * value + (text[i] == ' ' ? 0 : text[i] - '0');
    return value;
}

static bool set_date(struct tm *tm, const char *day, const char *month, int year, const char *time)
{
    *tm = (struct tm){.tm_mday = number(day, 2), .tm_year = year - 1900};
    while (tm->tm_mon < 12 && memcmp(months[tm->tm_mon], month, 3) != 0)
        tm->tm_mon++;
    tm->tm_hour = number(time, 2);
    tm->tm_min = number(time + 3, 2);
    tm->tm_sec = number(time + 6, 2);
    return tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_hour < 24 &&
           tm->tm_min < 60 && tm->tm_sec <= 60;
}

/* RFC 9110, 5.6.7: a year that seems to be more than 50 years ahead is in the past. */
static int full_year(int two_digits)
{
    time_t now = time(NULL);
    struct tm tm;
    int year;

    gmtime_r(&now, &tm);
    year = (tm.tm_year + 1900) / 100 * 100 + two_digits;
    return year > tm.tm_year + 1900 + 50 ? year - 100 : year;
}

bool clock_parse_http_date(const char *text, time_t *when)
{
    const char *comma = strchr(text, ',');
    struct tm tm;
    bool good;

    if (looks_like(text, "aaa, dd aaa dddd dd:dd:dd GMT")) {
        good = set_date(&tm, text + 5, text + 8, number(text + 12, 4), text + 17);
    } else if (looks_like(text, "aaa aaa _d dd:dd:dd dddd")) {
        good = set_date(&tm, text + 8, text + 4, number(text + 20, 4), text + 11);
    } else if (comma && looks_like(comma, ", dd-aaa-dd dd:dd:dd GMT")) {
        good = set_date(&tm, comma + 2, comma + 5, full_year(number(comma + 9, 2)), comma + 12);
    } else {
        return false;
    }
    *when = good ? timegm(&tm) : 0;
    return good;
}
