#include "str.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

START_TEST(empty_buffer_reads_as_empty_string)
{
    struct strbuf sb = {0};
    char *taken;

    ck_assert_str_eq(strbuf_cstr(&sb), "");
    taken = strbuf_take(&sb);
    ck_assert_str_eq(taken, "");
    free(taken);
    strbuf_free(&sb);
}
END_TEST

START_TEST(additions_are_joined)
{
    struct strbuf sb = {0};

    strbuf_adds(&sb, "ab");
    strbuf_addc(&sb, 'c');
    strbuf_add(&sb, "defg", 2);
    strbuf_add(&sb, NULL, 0);
    strbuf_addf(&sb, "[%d %s]", 42, "x");
    ck_assert_uint_eq(sb.len, strlen("abcde[42 x]"));
    ck_assert(!sb.failed);
    ck_assert_strbuf(&sb, "abcde[42 x]");
    ck_assert_uint_eq(sb.len, 0);
}
END_TEST

START_TEST(nul_bytes_are_kept)
{
    struct strbuf sb = {0};

    strbuf_add(&sb, "a\0b", 3);
    strbuf_adds(&sb, "c");
    ck_assert_uint_eq(sb.len, 4);
    ck_assert_mem_eq(sb.data, "a\0bc", 5);
    strbuf_free(&sb);
}
END_TEST

START_TEST(long_text_grows_by_bytes_and_by_format)
{
    enum { LENGTH = 100000 };
    struct strbuf by_byte = {0}, by_format = {0};

    for (int i = 0; i < LENGTH; i++)
        strbuf_addc(&by_byte, (char)('a' + i % 26));
    strbuf_addf(&by_format, "<%s>", strbuf_cstr(&by_byte));
    ck_assert_uint_eq(by_byte.len, LENGTH);
    ck_assert_uint_eq(by_format.len, LENGTH + 2);
    ck_assert_mem_eq(by_format.data + 1, by_byte.data, LENGTH);
    ck_assert_int_eq(by_format.data[LENGTH + 1], '>');
    for (int i = 0; i < LENGTH; i++)
        ck_assert_int_eq(by_byte.data[i], 'a' + i % 26);
    strbuf_free(&by_byte);
    strbuf_free(&by_format);
}
END_TEST

START_TEST(take_empties_the_buffer)
{
    struct strbuf sb = {0};
    char *taken;

    strbuf_adds(&sb, "text");
    taken = strbuf_take(&sb);
    ck_assert_str_eq(taken, "text");
    ck_assert_uint_eq(sb.len, 0);
    strbuf_adds(&sb, "next");
    ck_assert_str_eq(taken, "text");
    ck_assert_strbuf(&sb, "next");
    free(taken);
}
END_TEST

START_TEST(failure_stays_until_the_buffer_is_freed)
{
    struct strbuf sb = {0};

    strbuf_adds(&sb, "before");
    strbuf_add(&sb, "", SIZE_MAX / 2); /* refused before a byte is read */
    ck_assert(sb.failed);
    strbuf_adds(&sb, "after");
    ck_assert_str_eq(strbuf_cstr(&sb), "before");
    ck_assert_ptr_null(strbuf_take(&sb));
    ck_assert(!sb.failed);
    strbuf_adds(&sb, "new");
    ck_assert_strbuf(&sb, "new");
}
END_TEST

START_TEST(quoting_escapes_what_libconfig_reads_back)
{
    static const struct {
        const char *text, *quoted;
    } rows[] = {
        {"", "\"\""},
        {"plain text", "\"plain text\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"a\nb\tc\rd", "\"a\\nb\\tc\\rd\""},
        {"\x01\x1f\x7f\f\v", "\"\\x01\\x1f\\x7f\\x0c\\x0b\""},
        {"\xc3\xa4\xe2\x82\xac", "\"\xc3\xa4\xe2\x82\xac\""},
        {"# // /* { } ; =", "\"# // /* { } ; =\""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct strbuf sb = {0};

        strbuf_add_quoted(&sb, rows[i].text);
        ck_assert_strbuf(&sb, rows[i].quoted);
    }
}
END_TEST

START_TEST(distance_counts_edits)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"same", "same", 0},
        {"abc", "abcd", 1},
        {"abcd", "abc", 1},
        {"abc", "axc", 1},
        {"ab", "ba", 1},
        {"threads", "thraeds", 1},
        {"ca", "abc", 3}, /* optimal string alignment; the unrestricted distance is 2 */
        {"kitten", "sitting", 3},
        {"queue_depth", "queue-dept", 2},
        {"Abc", "abc", 1},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ck_assert_msg(str_distance(rows[i].a, rows[i].b) == rows[i].distance,
                      "%s, %s: %u instead of %u", rows[i].a, rows[i].b,
                      str_distance(rows[i].a, rows[i].b), rows[i].distance);
        ck_assert_uint_eq(str_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}
END_TEST

START_TEST(distance_of_long_strings_is_far)
{
    char at_limit[65], over[66];

    memset(at_limit, 'x', sizeof at_limit);
    at_limit[64] = '\0';
    memset(over, 'x', sizeof over);
    over[65] = '\0';
    ck_assert_uint_eq(str_distance(at_limit, at_limit), 0);
    ck_assert_uint_eq(str_distance(at_limit, ""), 64);
    ck_assert_uint_gt(str_distance(over, over), 64);
    ck_assert_uint_gt(str_distance(over, ""), 64);
    ck_assert_uint_gt(str_distance("", over), 64);
}
END_TEST

START_TEST(nearest_prefers_the_closest_and_the_first)
{
    struct str_nearest nearest = {.wanted = "thread"};

    str_nearest_try(&nearest, "queue_depth");
    ck_assert_ptr_null(nearest.best);
    str_nearest_try(&nearest, "treads");
    ck_assert_str_eq(nearest.best, "treads");
    str_nearest_try(&nearest, "threads");
    ck_assert_str_eq(nearest.best, "threads");
    str_nearest_try(&nearest, "threat");
    ck_assert_str_eq(nearest.best, "threads");
    str_nearest_try(&nearest, "thread");
    ck_assert_str_eq(nearest.best, "thread");
}
END_TEST

START_TEST(nearest_refuses_another_word)
{
    static const struct {
        const char *wanted, *candidate;
        bool near;
    } rows[] = {
        {"pth", "path", true},       {"abc", "xyc", false},           {"mods", "mode", true},
        {"mdoe", "mode", true},      {"body", "path", false},         {"ab", "xy", false},
        {"thrds", "threads", true},  {"durration", "duration", true}, {"drtion", "duration", true},
        {"q", "queue_depth", false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str_nearest nearest = {.wanted = rows[i].wanted};

        str_nearest_try(&nearest, rows[i].candidate);
        ck_assert_msg((nearest.best != NULL) == rows[i].near, "%s, %s", rows[i].wanted,
                      rows[i].candidate);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        empty_buffer_reads_as_empty_string,
        additions_are_joined,
        nul_bytes_are_kept,
        long_text_grows_by_bytes_and_by_format,
        take_empties_the_buffer,
        failure_stays_until_the_buffer_is_freed,
        quoting_escapes_what_libconfig_reads_back,
        distance_counts_edits,
        distance_of_long_strings_is_far,
        nearest_prefers_the_closest_and_the_first,
        nearest_refuses_another_word,
    };

    return support_run("str", tests, COUNT_OF(tests));
}
