#include "clock.h"
#include "support.h"

#include <string.h>

START_TEST(http_dates)
{
    static const struct {
        int64_t when;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* the example of RFC 9110 */
        {946684799, "Fri, 31 Dec 1999 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
        {2147483647, "Tue, 19 Jan 2038 03:14:07 GMT"},
        {2147483648, "Tue, 19 Jan 2038 03:14:08 GMT"},
        {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"}, /* no leap year */
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[HTTP_DATE_SIZE];

        memset(text, 'x', sizeof text);
        clock_http_date((time_t)rows[i].when, text);
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

START_TEST(http_dates_agree_with_strftime)
{
    struct support_random random = support_random_new("clock");

    for (int i = 0; i < 20000; i++) {
        time_t when = (time_t)support_random_below(&random, UINT32_MAX) * 50;
        char text[HTTP_DATE_SIZE], expected[64];
        struct tm tm;

        clock_http_date(when, text);
        gmtime_r(&when, &tm);
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* locale "C" */
        ck_assert_str_eq(text, expected);
    }
}
END_TEST

START_TEST(the_clock_does_not_go_back)
{
    int64_t before = clock_now_ns();
    struct timespec now;

    ck_assert_int_gt(before, 0);
    for (int i = 0; i < 1000; i++) {
        int64_t after = clock_now_ns();

        ck_assert_int_ge(after, before);
        before = after;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    ck_assert_int_ge((int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec, before);
}
END_TEST

START_TEST(a_source_replaces_the_clock_and_gives_it_back)
{
    int64_t real = clock_now_ns();

    support_clock_stop(42);
    ck_assert_int_eq(clock_now_ns(), 42);
    support_clock_set(43);
    ck_assert_int_eq(clock_now_ns(), 43);
    clock_set_source(NULL);
    ck_assert_int_ge(clock_now_ns(), real);
}
END_TEST

START_TEST(cpu_time_grows_with_work_and_not_with_the_source)
{
    int64_t before = clock_thread_cpu_ns();
    volatile unsigned work = 0;

    support_clock_stop(42);
    while (clock_thread_cpu_ns() < before + NS_PER_MS)
        work++;
    ck_assert_uint_gt(work, 0);
}
END_TEST

START_TEST(timespecs)
{
    struct timespec ts = clock_to_timespec(0);

    ck_assert(ts.tv_sec == 0 && ts.tv_nsec == 0);
    ts = clock_to_timespec(NS_PER_SEC - 1);
    ck_assert(ts.tv_sec == 0 && ts.tv_nsec == 999999999);
    ts = clock_to_timespec(INT64_MAX);
    ck_assert(ts.tv_sec == 9223372036 && ts.tv_nsec == 854775807);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        http_dates,
        http_dates_agree_with_strftime,
        the_clock_does_not_go_back,
        a_source_replaces_the_clock_and_gives_it_back,
        cpu_time_grows_with_work_and_not_with_the_source,
        timespecs,
    };

    return support_run("clock", tests, COUNT_OF(tests));
}
