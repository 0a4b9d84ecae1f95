#include "parse_num.h"

#include "clock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Reads 1*DIGIT at *p in the given base and leaves *p behind it. */
static int scan_digits(const char **p, unsigned base, int64_t *out)
{
    const char *s = *p;
    int64_t value = 0;

    if (*s < '0' || *s >= (char)('0' + base))
        return -EINVAL;
    for (; *s >= '0' && *s < (char)('0' + base); s++)
        if (__builtin_mul_overflow(value, (int64_t)base, &value) ||
            __builtin_add_overflow(value, (int64_t)(*s - '0'), &value))
            return -ERANGE;
    *p = s;
    *out = value;
    return 0;
}

int parse_i64(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    const char *p = text + negative;
    int64_t value;
    int r = scan_digits(&p, 10, &value);

    if (r)
        return r;
    if (*p)
        return -EINVAL;
    *out = negative ? -value : value;
    return 0;
}

static int64_t duration_unit(const char *unit)
{
    if (!*unit || !strcmp(unit, "s"))
        return NS_PER_SEC;
    if (!strcmp(unit, "ms"))
        return NS_PER_MS;
    if (!strcmp(unit, "m"))
        return 60 * NS_PER_SEC;
    if (!strcmp(unit, "h"))
        return 3600 * NS_PER_SEC;
    return 0;
}

int parse_duration(const char *text, int64_t *ns)
{
    const char *p = text;
    int64_t whole, unit, result, part = 0, scale = 1;
    int r = scan_digits(&p, 10, &whole);

    if (r)
        return r;
    if (*p == '.') {
        if (!isdigit((unsigned char)p[1]))
            return -EINVAL;
        for (p++; isdigit((unsigned char)*p); p++)
            if (scale < NS_PER_SEC) {
                part = part * 10 + (*p - '0');
                scale *= 10;
            }
    }
    unit = duration_unit(p);
    if (!unit)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, unit, &result) ||
        __builtin_add_overflow(result, (int64_t)((__int128)part * unit / scale), &result))
        return -ERANGE;
    *ns = result;
    return 0;
}

int duration_from_seconds(double seconds, int64_t *ns)
{
    double value = seconds * (double)NS_PER_SEC;

    if (isnan(value))
        return -EINVAL;
    if (value < 0 || value >= 9.2e18)
        return -ERANGE;
    *ns = (int64_t)(value + 0.5);
    return 0;
}

int parse_size(const char *text, int64_t *bytes)
{
    const char *p = text;
    int64_t value, unit = 1;
    int r = scan_digits(&p, 10, &value);

    if (r)
        return r;
    if (*p) {
        static const char units[] = "kmg";
        const char *u = strchr(units, tolower((unsigned char)*p));

        if (!u || p[1])
            return -EINVAL;
        unit = INT64_C(1) << (10 * (u - units + 1));
    }
    return __builtin_mul_overflow(value, unit, bytes) ? -ERANGE : 0;
}

int parse_mode(const char *text, int64_t *mode)
{
    const char *p = text;
    int64_t value;
    int r = scan_digits(&p, 8, &value);

    if (r)
        return r;
    if (*p)
        return -EINVAL;
    if (value > 0777)
        return -ERANGE;
    *mode = value;
    return 0;
}

void format_duration(int64_t ns, char out[NUM_TEXT_SIZE])
{
    static const struct {
        int64_t ns;
        const char *name;
    } units[] = {{3600 * NS_PER_SEC, "h"}, {60 * NS_PER_SEC, "m"}, {NS_PER_SEC, "s"}};
    int digits = 9;
    int64_t part = ns % NS_PER_SEC;

    if (ns == 0) {
        snprintf(out, NUM_TEXT_SIZE, "0");
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ns % units[i].ns == 0) {
            snprintf(out, NUM_TEXT_SIZE, "%lld%s", (long long)(ns / units[i].ns), units[i].name);
            return;
        }
    if (ns % NS_PER_MS == 0 && ns < NS_PER_SEC) {
        snprintf(out, NUM_TEXT_SIZE, "%lldms", (long long)(ns / NS_PER_MS));
        return;
    }
    for (; part % 10 == 0; part /= 10)
        digits--;
    snprintf(out, NUM_TEXT_SIZE, "%lld.%0*llds", (long long)(ns / NS_PER_SEC), digits,
             (long long)part);
}

void format_size(int64_t bytes, char out[NUM_TEXT_SIZE])
{
    static const char units[] = "gmk";

    for (int i = 0; i < 3; i++) {
        int64_t unit = INT64_C(1) << (10 * (3 - i));

        if (bytes && bytes % unit == 0) {
            snprintf(out, NUM_TEXT_SIZE, "%lld%c", (long long)(bytes / unit), units[i]);
            return;
        }
    }
    snprintf(out, NUM_TEXT_SIZE, "%lld", (long long)bytes);
}
