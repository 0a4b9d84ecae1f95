#include "clock.h"
#include "parse_num.h"
#include "support.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *text;
    int result;
    int64_t value;
};

static void check_rows(const struct row *rows, size_t count, int (*parse)(const char *, int64_t *))
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -77;
        int r = parse(rows[i].text, &value);

        ck_assert_msg(r == rows[i].result, "\"%s\": returned %d instead of %d", rows[i].text, r,
                      rows[i].result);
        if (!r)
            ck_assert_msg(value == rows[i].value, "\"%s\": read as %lld", rows[i].text,
                          (long long)value);
    }
}

START_TEST(integers)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"7", 0, 7},
        {"-7", 0, -7},
        {"0042", 0, 42},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775807", 0, -INT64_MAX},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"--1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1\n", -EINVAL, 0},
        {"1x", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
        {"1e3", -EINVAL, 0},
        {"five", -EINVAL, 0},
        {"/", -EINVAL, 0},
        {":", -EINVAL, 0},
    };

    check_rows(rows, COUNT_OF(rows), parse_i64);
}
END_TEST

START_TEST(durations)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"0ms", 0, 0},
        {"1", 0, NS_PER_SEC},
        {"1s", 0, NS_PER_SEC},
        {"250ms", 0, 250 * NS_PER_MS},
        {"5m", 0, 300 * NS_PER_SEC},
        {"1h", 0, 3600 * NS_PER_SEC},
        {"1.5", 0, 1500 * NS_PER_MS},
        {"1.5m", 0, 90 * NS_PER_SEC},
        {"0.25h", 0, 900 * NS_PER_SEC},
        {"1.5ms", 0, 1500 * NS_PER_US},
        {"0.000000001s", 0, 1},
        {"0.0000000019s", 0, 1}, /* finer than a nanosecond: cut */
        {"0.00000000000000000000000000001s", 0, 0},
        {"007s", 0, 7 * NS_PER_SEC},
        {"9223372036.854775807s", 0, INT64_MAX},
        {"9223372036.854775808s", -ERANGE, 0},
        {"9223372037", -ERANGE, 0},
        {"9223372036854ms", 0, INT64_C(9223372036854) * NS_PER_MS},
        {"9223372036855ms", -ERANGE, 0},
        {"2562047h", 0, INT64_C(2562047) * 3600 * NS_PER_SEC},
        {"2562048h", -ERANGE, 0},
        {"99999999999999999999s", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {".5s", -EINVAL, 0},
        {"1.s", -EINVAL, 0},
        {"1.", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"1 s", -EINVAL, 0},
        {" 1s", -EINVAL, 0},
        {"1s ", -EINVAL, 0},
        {"1S", -EINVAL, 0},
        {"1d", -EINVAL, 0},
        {"1us", -EINVAL, 0},
        {"1ss", -EINVAL, 0},
        {"1h30m", -EINVAL, 0},
        {"+1s", -EINVAL, 0},
        {"1e3s", -EINVAL, 0},
        {"inf", -EINVAL, 0},
    };
    int64_t ns;

    check_rows(rows, COUNT_OF(rows), parse_duration);
    ck_assert_int_lt(parse_duration("-1s", &ns), 0);
}
END_TEST

START_TEST(durations_of_seconds)
{
    static const struct {
        double seconds;
        int result;
        int64_t ns;
    } rows[] = {
        {0, 0, 0},
        {-0.0, 0, 0},
        {1, 0, NS_PER_SEC},
        {0.25, 0, 250 * NS_PER_MS},
        {0.1, 0, 100 * NS_PER_MS},
        {0.3, 0, 300 * NS_PER_MS},
        {1e-9, 0, 1},
        {1e-12, 0, 0},
        {9e9, 0, INT64_C(9000000000) * NS_PER_SEC},
        {1e10, -ERANGE, 0},
        {1e308, -ERANGE, 0},
        {INFINITY, -ERANGE, 0},
        {-INFINITY, -ERANGE, 0},
        {-0.5, -ERANGE, 0},
        {-1e-9, -ERANGE, 0},
        {NAN, -EINVAL, 0},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ns = -77;

        ck_assert_msg(duration_from_seconds(rows[i].seconds, &ns) == rows[i].result, "%g",
                      rows[i].seconds);
        if (!rows[i].result)
            ck_assert_msg(ns == rows[i].ns, "%g: %lld", rows[i].seconds, (long long)ns);
    }
}
END_TEST

START_TEST(sizes)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"64k", 0, 64 << 10},
        {"64K", 0, 64 << 10},
        {"1m", 0, 1 << 20},
        {"1M", 0, 1 << 20},
        {"2g", 0, INT64_C(2) << 30},
        {"2G", 0, INT64_C(2) << 30},
        {"0g", 0, 0},
        {"8589934591g", 0, INT64_C(8589934591) << 30},
        {"8589934592g", -ERANGE, 0},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", -ERANGE, 0},
        {"9007199254740991k", 0, INT64_C(9007199254740991) << 10},
        {"9007199254740992k", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"k", -EINVAL, 0},
        {"1kb", -EINVAL, 0},
        {"1kk", -EINVAL, 0},
        {"1 k", -EINVAL, 0},
        {"1t", -EINVAL, 0},
        {"1.5m", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
    };
    int64_t bytes;

    check_rows(rows, COUNT_OF(rows), parse_size);
    ck_assert_int_lt(parse_size("-1", &bytes), 0);
}
END_TEST

START_TEST(modes)
{
    static const struct row rows[] = {
        {"0", 0, 0},
        {"0000", 0, 0},
        {"0660", 0, 0660},
        {"660", 0, 0660},
        {"777", 0, 0777},
        {"00000777", 0, 0777},
        {"1000", -ERANGE, 0},
        {"01777", -ERANGE, 0},
        {"7777777777777777777777777", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"8", -EINVAL, 0},
        {"0668", -EINVAL, 0},
        {"0o660", -EINVAL, 0},
        {"rw-rw----", -EINVAL, 0},
        {" 660", -EINVAL, 0},
        {"660 ", -EINVAL, 0},
    };
    int64_t mode;

    check_rows(rows, COUNT_OF(rows), parse_mode);
    ck_assert_int_lt(parse_mode("-1", &mode), 0);
}
END_TEST

START_TEST(durations_are_formatted_as_people_write_them)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "0.000000001s"},
        {1500, "0.0000015s"},
        {NS_PER_MS, "1ms"},
        {250 * NS_PER_MS, "250ms"},
        {NS_PER_SEC, "1s"},
        {1500 * NS_PER_MS, "1.5s"},
        {59 * NS_PER_SEC, "59s"},
        {60 * NS_PER_SEC, "1m"},
        {61 * NS_PER_SEC, "61s"},
        {300 * NS_PER_SEC, "5m"},
        {3600 * NS_PER_SEC, "1h"},
        {5400 * NS_PER_SEC, "90m"},
        {INT64_MAX, "9223372036.854775807s"},
    };
    char text[NUM_TEXT_SIZE];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        format_duration(rows[i].ns, text);
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

START_TEST(sizes_are_formatted_as_people_write_them)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {1023, "1023"},
        {1024, "1k"},
        {1025, "1025"},
        {256 << 10, "256k"},
        {1 << 20, "1m"},
        {(1 << 20) + 1024, "1025k"},
        {INT64_C(1) << 30, "1g"},
        {INT64_C(1) << 40, "1024g"},
        {INT64_MAX, "9223372036854775807"},
    };
    char text[NUM_TEXT_SIZE];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        format_size(rows[i].bytes, text);
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

/* Numbers of every magnitude, and round ones often. */
static int64_t random_number(struct support_random *random)
{
    static const int64_t round[] = {
        1, 1000, 1024, NS_PER_MS, NS_PER_SEC, 60 * NS_PER_SEC, 3600 * NS_PER_SEC, 1 << 20, 1 << 30};
    uint64_t n = (uint64_t)support_random_below(random, UINT32_MAX) << 32 |
                 support_random_below(random, UINT32_MAX);
    int64_t unit = round[support_random_below(random, COUNT_OF(round))];

    n >>= 1 + support_random_below(random, 63);
    return (int64_t)(n % (uint64_t)(INT64_MAX / unit)) * unit;
}

START_TEST(what_is_formatted_parses_as_the_same)
{
    struct support_random random = support_random_new("parse_num");
    char text[NUM_TEXT_SIZE];

    for (int i = 0; i < 20000; i++) {
        int64_t n = random_number(&random), again = -1;

        format_duration(n, text);
        ck_assert_msg(parse_duration(text, &again) == 0 && again == n, "%lld: %s", (long long)n,
                      text);
        format_size(n, text);
        ck_assert_msg(parse_size(text, &again) == 0 && again == n, "%lld: %s", (long long)n, text);
        snprintf(text, sizeof text, "%lld", (long long)-n);
        ck_assert_msg(parse_i64(text, &again) == 0 && again == -n, "%s", text);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        integers,
        durations,
        durations_of_seconds,
        sizes,
        modes,
        durations_are_formatted_as_people_write_them,
        sizes_are_formatted_as_people_write_them,
        what_is_formatted_parses_as_the_same,
    };

    return support_run("parse_num", tests, COUNT_OF(tests));
}
