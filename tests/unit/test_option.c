#include "clock.h"
#include "option.h"
#include "support.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct settings {
    bool flag;
    int64_t number, plain, wait, size, mode, level;
    char *text;
    struct string_list words;
    struct string_list methods;
    struct pair_list pairs;
};

static const char *const auto_word[] = {"auto", NULL};
static const char *const levels[] = {"low", "middle", "high", NULL};

enum row { FLAG, NUMBER, PLAIN, WAIT, SIZE, MODE, LEVEL, TEXT, WORDS, METHODS, PAIRS };

#define AT(member) offsetof(struct settings, member)

static const struct option_row rows[] = {
    {"flag", OPTION_BOOL, AT(flag), "true", 0, 0, NULL, 0, NULL, ""},
    {"number", OPTION_INT, AT(number), "auto", 1, 4096, auto_word, 0, NULL, ""},
    {"plain", OPTION_INT, AT(plain), "-5", -10, 10, NULL, 0, NULL, ""},
    {"wait", OPTION_DURATION, AT(wait), "30s", NS_PER_MS, 3600 * NS_PER_SEC, NULL, 0, NULL, ""},
    {"size", OPTION_SIZE, AT(size), "256k", 1 << 10, 64 << 20, NULL, 0, NULL, ""},
    {"mode", OPTION_MODE, AT(mode), "0660", 0, 0777, NULL, 0, NULL, ""},
    {"level", OPTION_ENUM, AT(level), "middle", 0, 0, levels, 0, NULL, ""},
    {"text", OPTION_STRING, AT(text), "hello", 2, 8, NULL, 0, NULL, ""},
    {"words", OPTION_STRINGS, AT(words), "one", 0, 0, NULL, 0, NULL, ""},
    {"methods", OPTION_STRINGS, AT(methods), NULL, 0, 0, levels, 0, NULL, ""},
    {"pairs", OPTION_PAIRS, AT(pairs), NULL, 0, 0, NULL, 0, NULL, ""},
    {0},
};

#define INT(n) ((struct value){.kind = VALUE_INT, .i = (n)})
#define FLOAT(n) ((struct value){.kind = VALUE_FLOAT, .f = (n)})
#define BOOL(n) ((struct value){.kind = VALUE_BOOL, .b = (n)})
#define STRING(text) ((struct value){.kind = VALUE_STRING, .s = (text)})
#define LIST(array) ((struct value){.kind = VALUE_LIST, .items = (array), .count = COUNT_OF(array)})

static struct settings defaults(void)
{
    struct settings settings = {0};

    ck_assert_int_eq(option_set_defaults(rows, &settings), 0);
    return settings;
}

static void check_print(enum row row, const struct settings *settings, const char *expected)
{
    struct strbuf text = {0};

    option_print(&rows[row], settings, &text);
    ck_assert_strbuf(&text, expected);
}

static void accept(enum row row, struct settings *settings, struct value value, const char *printed)
{
    struct strbuf why = {0};

    ck_assert_msg(option_set(&rows[row], settings, &value, &why) == 0, "%s: %s", rows[row].name,
                  strbuf_cstr(&why));
    ck_assert_strbuf(&why, "");
    check_print(row, settings, printed);
}

/* Refuses the value, says what was found and what is allowed, and leaves the setting as it was. */
static void refuse(enum row row, struct settings *settings, struct value value, const char *found)
{
    struct strbuf before = {0}, why = {0}, expected = {0};

    option_print(&rows[row], settings, &before);
    strbuf_addf(&expected, "found %s; allowed: ", found);
    option_print_allowed(&rows[row], &expected);
    ck_assert_msg(option_set(&rows[row], settings, &value, &why) == -EINVAL, "%s took %s",
                  rows[row].name, found);
    ck_assert_msg(!strncmp(strbuf_cstr(&why), strbuf_cstr(&expected), expected.len),
                  "%s: \"%s\" does not begin with \"%s\"", rows[row].name, strbuf_cstr(&why),
                  strbuf_cstr(&expected));
    check_print(row, settings, strbuf_cstr(&before));
    strbuf_free(&before);
    strbuf_free(&why);
    strbuf_free(&expected);
}

START_TEST(rows_are_found_by_name)
{
    ck_assert_ptr_eq(option_find(rows, "flag"), &rows[FLAG]);
    ck_assert_ptr_eq(option_find(rows, "pairs"), &rows[PAIRS]);
    ck_assert_ptr_null(option_find(rows, "Flag"));
    ck_assert_ptr_null(option_find(rows, "fla"));
    ck_assert_ptr_null(option_find(rows, ""));
    ck_assert_ptr_null(option_find(NULL, "flag"));
}
END_TEST

START_TEST(defaults_are_stored)
{
    struct settings settings = defaults();

    ck_assert(settings.flag);
    ck_assert_int_eq(settings.number, OPTION_WORD);
    ck_assert_int_eq(settings.plain, -5);
    ck_assert_int_eq(settings.wait, 30 * NS_PER_SEC);
    ck_assert_int_eq(settings.size, 256 << 10);
    ck_assert_int_eq(settings.mode, 0660);
    ck_assert_int_eq(settings.level, 1);
    ck_assert_str_eq(settings.text, "hello");
    ck_assert_uint_eq(settings.words.count, 1);
    ck_assert_str_eq(settings.words.items[0], "one");
    ck_assert_uint_eq(settings.methods.count, 0);
    ck_assert_uint_eq(settings.pairs.count, 0);
    option_clear_all(rows, &settings);
    ck_assert_ptr_null(settings.text);
    ck_assert_uint_eq(settings.words.count, 0);
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(a_default_that_does_not_fit_aborts)
{
    static const struct option_row wrong = {"number", OPTION_INT, AT(number), "11", 1,
                                            10,       NULL,       0,          NULL, ""};
    struct settings settings = {0};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        (void)!option_set_default(&wrong, &settings);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

START_TEST(bools)
{
    struct settings settings = defaults();

    accept(FLAG, &settings, BOOL(false), "false");
    accept(FLAG, &settings, BOOL(true), "true");
    refuse(FLAG, &settings, INT(1), "1");
    refuse(FLAG, &settings, STRING("true"), "\"true\"");
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(integers)
{
    struct settings settings = defaults();

    accept(NUMBER, &settings, INT(1), "1");
    accept(NUMBER, &settings, INT(4096), "4096");
    accept(NUMBER, &settings, STRING("auto"), "\"auto\"");
    ck_assert_int_eq(settings.number, OPTION_WORD);
    accept(PLAIN, &settings, INT(-10), "-10");
    refuse(NUMBER, &settings, INT(0), "0");
    refuse(NUMBER, &settings, INT(4097), "4097");
    refuse(NUMBER, &settings, INT(-1), "-1"); /* not the word by the back door */
    refuse(NUMBER, &settings, INT(INT64_MAX), "9223372036854775807");
    refuse(NUMBER, &settings, INT(INT64_MIN), "-9223372036854775808");
    refuse(NUMBER, &settings, FLOAT(2.5), "2.5");
    refuse(NUMBER, &settings, FLOAT(2), "2");
    refuse(NUMBER, &settings, BOOL(true), "true");
    refuse(NUMBER, &settings, STRING("40"), "\"40\"");
    refuse(NUMBER, &settings, STRING("Auto"), "\"Auto\"");
    refuse(PLAIN, &settings, STRING("auto"), "\"auto\"");
    refuse(PLAIN, &settings, INT(11), "11");
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(durations)
{
    struct settings settings = defaults();

    accept(WAIT, &settings, INT(3), "\"3s\"");
    accept(WAIT, &settings, FLOAT(0.25), "\"250ms\"");
    accept(WAIT, &settings, FLOAT(0.1), "\"100ms\"");
    accept(WAIT, &settings, STRING("5m"), "\"5m\"");
    accept(WAIT, &settings, STRING("90"), "\"90s\"");
    accept(WAIT, &settings, STRING("1h"), "\"1h\"");
    accept(WAIT, &settings, STRING("1ms"), "\"1ms\"");
    refuse(WAIT, &settings, INT(0), "0");
    refuse(WAIT, &settings, INT(3601), "3601");
    refuse(WAIT, &settings, INT(-1), "-1");
    refuse(WAIT, &settings, INT(INT64_MAX / NS_PER_SEC + 1), "9223372037");
    refuse(WAIT, &settings, FLOAT(-0.5), "-0.5");
    refuse(WAIT, &settings, FLOAT(1e300), "1e+300");
    refuse(WAIT, &settings, FLOAT(NAN), "nan");
    refuse(WAIT, &settings, STRING("0.5ms"), "\"0.5ms\"");
    refuse(WAIT, &settings, STRING("61m"), "\"61m\"");
    refuse(WAIT, &settings, STRING("3 s"), "\"3 s\"");
    refuse(WAIT, &settings, STRING(""), "\"\"");
    refuse(WAIT, &settings, BOOL(true), "true");
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(sizes_and_modes)
{
    struct settings settings = defaults();

    accept(SIZE, &settings, INT(1024), "\"1k\"");
    accept(SIZE, &settings, INT(1025), "\"1025\"");
    accept(SIZE, &settings, STRING("64M"), "\"64m\"");
    refuse(SIZE, &settings, INT(1023), "1023");
    refuse(SIZE, &settings, STRING("65m"), "\"65m\"");
    refuse(SIZE, &settings, FLOAT(2048), "2048");
    refuse(SIZE, &settings, STRING("1.5m"), "\"1.5m\"");
    accept(MODE, &settings, STRING("600"), "\"0600\"");
    accept(MODE, &settings, STRING("0"), "\"0000\"");
    accept(MODE, &settings, STRING("0777"), "\"0777\"");
    refuse(MODE, &settings, STRING("1777"), "\"1777\"");
    refuse(MODE, &settings, STRING("0888"), "\"0888\"");
    refuse(MODE, &settings, INT(660), "660"); /* nobody knows the base that was meant */
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(choices)
{
    struct settings settings = defaults();
    struct strbuf why = {0};
    struct value value = STRING("hihg");

    accept(LEVEL, &settings, STRING("high"), "\"high\"");
    ck_assert_int_eq(settings.level, 2);
    accept(LEVEL, &settings, STRING("low"), "\"low\"");
    ck_assert_int_eq(settings.level, 0);
    refuse(LEVEL, &settings, STRING("High"), "\"High\"");
    refuse(LEVEL, &settings, STRING(""), "\"\"");
    refuse(LEVEL, &settings, INT(1), "1");
    ck_assert_int_eq(option_set(&rows[LEVEL], &settings, &value, &why), -EINVAL);
    ck_assert_strbuf(&why, "found \"hihg\"; allowed: \"low\", \"middle\" or \"high\"; did you mean "
                           "\"high\"?");
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(strings)
{
    struct settings settings = defaults();
    char source[] = "source", longer[101] = "";
    struct value items[] = {STRING("in a list")};

    accept(TEXT, &settings, STRING("ab"), "\"ab\"");
    accept(TEXT, &settings, STRING("12345678"), "\"12345678\"");
    accept(TEXT, &settings, STRING("a\"b\\\n"), "\"a\\\"b\\\\\\n\"");
    accept(TEXT, &settings, STRING(source), "\"source\"");
    source[0] = 'X'; /* it was copied */
    check_print(TEXT, &settings, "\"source\"");
    refuse(TEXT, &settings, STRING("a"), "\"a\"");
    refuse(TEXT, &settings, STRING(""), "\"\"");
    refuse(TEXT, &settings, STRING("123456789"), "\"123456789\"");
    memset(longer, 'x', 100);
    refuse(TEXT, &settings, STRING(longer), "a string of 100 bytes");
    refuse(TEXT, &settings, INT(12), "12");
    refuse(TEXT, &settings, LIST(items), "a list");
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(unbounded_strings_end_at_4096_bytes)
{
    static const struct option_row row = {"text", OPTION_STRING, AT(text), NULL, 0,
                                          0,      NULL,          0,        NULL, ""};
    struct settings settings = {0};
    struct strbuf why = {0};
    char text[4098];
    struct value value = STRING(text);

    memset(text, 'x', sizeof text);
    text[4096] = '\0';
    ck_assert_int_eq(option_set(&row, &settings, &value, &why), 0);
    ck_assert_uint_eq(strlen(settings.text), 4096);
    text[4096] = 'x';
    text[4097] = '\0';
    ck_assert_int_eq(option_set(&row, &settings, &value, &why), -EINVAL);
    ck_assert_strbuf(&why, "found a string of 4097 bytes; allowed: a string of 0 to 4096 bytes");
    ck_assert_uint_eq(strlen(settings.text), 4096);
    free(settings.text);
}
END_TEST

START_TEST(lists_of_strings)
{
    struct settings settings = defaults();
    struct value two[] = {STRING("a b"), STRING("c\"")};
    struct value mixed[] = {STRING("a"), INT(7)};
    struct value blank[] = {STRING("a"), STRING("")};
    struct value known[] = {STRING("high"), STRING("low")};
    struct value unknown[] = {STRING("high"), STRING("lwo")};
    struct value group = {.kind = VALUE_GROUP};
    struct value empty = {.kind = VALUE_LIST};
    struct strbuf why = {0};

    accept(WORDS, &settings, STRING("single"), "( \"single\" )");
    accept(WORDS, &settings, LIST(two), "( \"a b\", \"c\\\"\" )");
    ck_assert_uint_eq(settings.words.count, 2);
    refuse(WORDS, &settings, LIST(mixed), "7");
    refuse(WORDS, &settings, LIST(blank), "\"\"");
    refuse(WORDS, &settings, STRING(""), "\"\"");
    refuse(WORDS, &settings, INT(1), "1");
    refuse(WORDS, &settings, group, "a group");
    accept(WORDS, &settings, empty, "(  )");
    ck_assert(!option_is_set(&rows[WORDS], &settings));
    accept(METHODS, &settings, LIST(known), "( \"high\", \"low\" )");
    refuse(METHODS, &settings, LIST(unknown), "\"lwo\"");
    ck_assert_int_eq(option_set(&rows[METHODS], &settings, &(LIST(unknown)), &why), -EINVAL);
    ck_assert_contains(strbuf_cstr(&why), "did you mean \"low\"?");
    strbuf_free(&why);
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(pairs)
{
    struct settings settings = defaults();
    struct value lines[] = {STRING("X-A: one"), STRING("X-B:two: three"), STRING("X-C:\t ")};
    struct value values[] = {STRING("one"), STRING("")};
    const char *names[] = {"X-A", "X-B"};
    struct value group = {.kind = VALUE_GROUP, .items = values, .names = names, .count = 2};
    struct value bad_line[] = {STRING("X-A: one"), STRING("no colon")};
    struct value no_name[] = {STRING(": value")};
    struct value number[] = {STRING("X-A: one"), INT(5)};

    accept(PAIRS, &settings, LIST(lines), "( \"X-A: one\", \"X-B: two: three\", \"X-C: \" )");
    ck_assert_str_eq(settings.pairs.items[1].name, "X-B");
    ck_assert_str_eq(settings.pairs.items[1].value, "two: three");
    ck_assert_str_eq(settings.pairs.items[2].value, "");
    accept(PAIRS, &settings, group, "( \"X-A: one\", \"X-B: \" )");
    refuse(PAIRS, &settings, LIST(bad_line), "\"no colon\"");
    refuse(PAIRS, &settings, LIST(no_name), "\": value\"");
    refuse(PAIRS, &settings, LIST(number), "5");
    refuse(PAIRS, &settings, STRING("X-A: one"), "\"X-A: one\"");
    refuse(PAIRS, &settings, BOOL(true), "true");
    values[1] = INT(3);
    refuse(PAIRS, &settings, group, "3");
    option_clear_all(rows, &settings);
}
END_TEST

START_TEST(what_is_allowed)
{
    static const char *const expected[] = {
        "true or false",
        "1 to 4096 or \"auto\"",
        "-10 to 10",
        "1ms to 1h",
        "1k to 64m",
        "an octal mode from \"0000\" to \"0777\"",
        "\"low\", \"middle\" or \"high\"",
        "a string of 2 to 8 bytes",
        "a string or a list of strings",
        "a string or a list of strings from \"low\", \"middle\" or \"high\"",
        "{ name = \"value\"; } or a list of \"Name: value\"",
    };

    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        struct strbuf text = {0};

        option_print_allowed(&rows[i], &text);
        ck_assert_strbuf(&text, expected[i]);
    }
}
END_TEST

START_TEST(options_are_set_or_not)
{
    struct settings settings = {0};

    ck_assert(!option_is_set(&rows[TEXT], &settings));
    ck_assert(!option_is_set(&rows[WORDS], &settings));
    ck_assert(!option_is_set(&rows[PAIRS], &settings));
    ck_assert(option_is_set(&rows[NUMBER], &settings));
    ck_assert(option_is_set(&rows[FLAG], &settings));
    ck_assert_int_eq(option_set_defaults(rows, &settings), 0);
    ck_assert(option_is_set(&rows[TEXT], &settings));
    ck_assert(option_is_set(&rows[WORDS], &settings));
    option_clear_all(rows, &settings);
}
END_TEST

/* Other values than the defaults for every row. */
static void set_others(struct settings *settings)
{
    static struct value words[] = {STRING("one"), STRING("two")}, one_pair[] = {STRING("A: b")};
    struct value others[] = {BOOL(false), INT(7),         INT(3),         INT(7),
                             INT(4096),   STRING("0600"), STRING("high"), STRING("other"),
                             LIST(words), STRING("low"),  LIST(one_pair)};
    struct strbuf why = {0};

    for (size_t i = 0; i < COUNT_OF(others); i++)
        ck_assert_msg(option_set(&rows[i], settings, &others[i], &why) == 0, "%s: %s", rows[i].name,
                      strbuf_cstr(&why));
}

START_TEST(equality_sees_every_row)
{
    struct settings a = defaults(), b = defaults();

    for (const struct option_row *row = rows; row->name; row++)
        ck_assert_msg(option_equal(row, &a, &b), "%s", row->name);
    set_others(&b);
    for (const struct option_row *row = rows; row->name; row++) {
        ck_assert_msg(!option_equal(row, &a, &b), "%s", row->name);
        ck_assert_msg(!option_equal(row, &b, &a), "%s", row->name);
        ck_assert_msg(option_equal(row, &b, &b), "%s", row->name);
    }
    option_clear_all(rows, &a);
    option_clear_all(rows, &b);
}
END_TEST

START_TEST(an_empty_string_differs_from_none)
{
    static const struct option_row row = {"text", OPTION_STRING, AT(text), NULL, 0,
                                          8,      NULL,          0,        NULL, ""};
    struct settings none = {0}, empty = {0};
    struct strbuf why = {0};

    ck_assert_int_eq(option_set(&row, &empty, &STRING(""), &why), 0);
    ck_assert(!option_equal(&row, &none, &empty));
    ck_assert(option_equal(&row, &none, &none));
    free(empty.text);
}
END_TEST

START_TEST(values_are_named_in_messages)
{
    static const struct {
        struct value value;
        const char *text;
    } table[] = {
        {{.kind = VALUE_INT, .i = -7}, "-7"},
        {{.kind = VALUE_FLOAT, .f = 0.5}, "0.5"},
        {{.kind = VALUE_BOOL, .b = true}, "true"},
        {{.kind = VALUE_BOOL, .b = false}, "false"},
        {{.kind = VALUE_STRING, .s = "a\"b"}, "\"a\\\"b\""},
        {{.kind = VALUE_LIST}, "a list"},
        {{.kind = VALUE_GROUP}, "a group"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct strbuf text = {0};

        value_print(&table[i].value, &text);
        ck_assert_strbuf(&text, table[i].text);
    }
}
END_TEST

/* A number as it is printed, back as a value. */
static struct value reread(enum row row, const char *printed, char copy[64])
{
    int64_t n;

    if (*printed != '"') {
        n = strtoll(printed, NULL, 10);
        return row == FLAG ? BOOL(!strcmp(printed, "true")) : INT(n);
    }
    snprintf(copy, 64, "%.*s", (int)strlen(printed) - 2, printed + 1);
    return STRING(copy);
}

START_TEST(what_is_printed_reads_as_the_same)
{
    struct support_random random = support_random_new("option");
    struct settings a = defaults(), b = defaults();

    for (int i = 0; i < 3000; i++) {
        a.number = 1 + support_random_below(&random, 4096);
        if (!support_random_below(&random, 9))
            a.number = OPTION_WORD;
        a.plain = (int64_t)support_random_below(&random, 21) - 10;
        a.wait = NS_PER_MS * (1 + support_random_below(&random, 3600 * 1000)) -
                 (support_random_below(&random, 2) ? 0 : support_random_below(&random, 999999));
        a.wait = a.wait < NS_PER_MS ? NS_PER_MS : a.wait;
        a.size = 1024 * (1 + support_random_below(&random, 65535)) +
                 (support_random_below(&random, 2) ? 0 : support_random_below(&random, 1024));
        a.mode = support_random_below(&random, 01000);
        a.level = support_random_below(&random, 3);
        a.flag = support_random_below(&random, 2);
        for (int row = FLAG; row <= LEVEL; row++) {
            struct strbuf text = {0}, why = {0};
            char copy[64];
            struct value value;

            option_print(&rows[row], &a, &text);
            value = reread((enum row)row, strbuf_cstr(&text), copy);
            ck_assert_msg(option_set(&rows[row], &b, &value, &why) == 0, "%s: %s: %s",
                          rows[row].name, strbuf_cstr(&text), strbuf_cstr(&why));
            strbuf_free(&text);
        }
        ck_assert(a.flag == b.flag && a.number == b.number && a.plain == b.plain);
        ck_assert(a.wait == b.wait && a.size == b.size && a.mode == b.mode && a.level == b.level);
    }
    option_clear_all(rows, &a);
    option_clear_all(rows, &b);
}
END_TEST

/* ---- scalars, numbers that a template gives, groups ------------------------------------------- */

struct member {
    char *name;
    char *limit;
    int64_t count;
};

struct outer {
    struct group_list members;
    struct number_text wait;
};

static const struct option_row member_rows[] = {
    {"name", OPTION_STRING, offsetof(struct member, name), NULL, 1, 8, NULL, OPTION_REQUIRED, NULL,
     "A name."},
    {"limit", OPTION_SCALAR, offsetof(struct member, limit), NULL, 0, 16, NULL, 0, NULL, "Any."},
    {"count", OPTION_INT, offsetof(struct member, count), "3", 0, 9, NULL, 0, NULL, "A count."},
    {0},
};

static const struct option_group member_group = {member_rows, sizeof(struct member)};

static const struct option_row outer_rows[] = {
    {"members", OPTION_GROUPS, offsetof(struct outer, members), NULL, 0, 0, NULL, 0, NULL,
     "Members.", &member_group},
    {"wait", OPTION_DURATION, offsetof(struct outer, wait), "1s", 0, NS_PER_SEC, NULL,
     OPTION_TEMPLATE, "seconds", "A wait."},
    {0},
};

static struct member *add_member(struct outer *outer, const char *name)
{
    struct member *member = option_add_group(&member_group, &outer->members);
    struct strbuf why = {0};

    ck_assert_ptr_nonnull(member);
    ck_assert_int_eq(option_set_defaults(member_rows, member), 0);
    ck_assert_int_eq(option_set(&member_rows[0], member, &STRING(name), &why), 0);
    return member;
}

START_TEST(groups_are_kept_printed_and_compared)
{
    struct outer a = {0}, b = {0};
    struct strbuf text = {0}, why = {0};

    ck_assert(!option_is_set(&outer_rows[0], &a));
    add_member(&a, "one");
    ck_assert_int_eq(option_set(&member_rows[1], add_member(&a, "two"), &INT(-7), &why), 0);
    add_member(&b, "one");
    ck_assert(option_is_set(&outer_rows[0], &a));
    option_print(&outer_rows[0], &a, &text);
    ck_assert_strbuf(&text, "( { name = \"one\"; count = 3; }, "
                            "{ name = \"two\"; limit = \"-7\"; count = 3; } )");
    ck_assert(!option_equal(&outer_rows[0], &a, &b));
    ck_assert_int_eq(option_set(&member_rows[1], add_member(&b, "two"), &STRING("-7"), &why), 0);
    ck_assert(option_equal(&outer_rows[0], &a, &b));
    option_clear_all(outer_rows, &a);
    option_clear_all(outer_rows, &b);
    ck_assert_uint_eq(a.members.count, 0);
}
END_TEST

START_TEST(only_a_list_of_groups_is_one)
{
    struct value wrong[] = {INT(1), STRING("x"), {.kind = VALUE_GROUP}};

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct outer outer = {0};
        struct strbuf why = {0};

        ck_assert_int_eq(option_set(&outer_rows[0], &outer, &wrong[i], &why), -EINVAL);
        ck_assert_contains(strbuf_cstr(&why), "a list of groups");
        strbuf_free(&why);
    }
}
END_TEST

START_TEST(scalars_are_kept_as_text)
{
    const struct {
        struct value value;
        const char *text;
    } table[] = {
        {INT(INT64_MIN), "-9223372036854775808"},
        {{.kind = VALUE_FLOAT, .f = 0.1}, "0.1"},
        {{.kind = VALUE_FLOAT, .f = 1e300}, "1e+300"},
        {{.kind = VALUE_FLOAT, .f = 0.1234567890123}, "0.1234567890123"},
        {BOOL(true), "true"},
        {BOOL(false), "false"},
        {STRING("1h"), "1h"},
    };
    struct strbuf why = {0};
    struct member member = {0};

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct option_row row = member_rows[1];

        row.max = 32;
        ck_assert_int_eq(option_set(&row, &member, &table[i].value, &why), 0);
        ck_assert_str_eq(member.limit, table[i].text);
    }
    ck_assert_int_eq(
        option_set(&member_rows[1], &member, &(struct value){.kind = VALUE_LIST}, &why), -EINVAL);
    ck_assert_contains(strbuf_cstr(&why), "a list; allowed: a number");
    strbuf_free(&why);
    option_clear_all(member_rows, &member);
}
END_TEST

START_TEST(a_template_may_stand_for_a_duration)
{
    const struct option_row *row = &outer_rows[1];
    struct outer outer = {0};
    struct strbuf text = {0}, why = {0};

    ck_assert_int_eq(option_set_default(row, &outer), 0);
    ck_assert_ptr_null(outer.wait.text);
    ck_assert_int_eq(outer.wait.value, NS_PER_SEC);
    ck_assert_int_eq(option_set(row, &outer, &STRING("${param.x}"), &why), 0);
    ck_assert_str_eq(outer.wait.text, "${param.x}");
    option_print(row, &outer, &text);
    ck_assert_strbuf(&text, "\"${param.x}\"");
    ck_assert_int_eq(option_set(row, &outer, &STRING("2s"), &why), -EINVAL);
    ck_assert_contains(strbuf_cstr(&why), "0 to 1s or \"${param.NAME}\"");
    ck_assert_int_eq(option_set(row, &outer, &STRING("20ms"), &why), 0);
    ck_assert_ptr_null(outer.wait.text);
    option_print(row, &outer, &text);
    ck_assert_strbuf(&text, "\"20ms\"");
    ck_assert_int_eq(option_set(row, &outer, &STRING("${"), &why), 0);
    option_clear_all(outer_rows, &outer);
    ck_assert_ptr_null(outer.wait.text);
    strbuf_free(&why);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        rows_are_found_by_name,
        defaults_are_stored,
        a_default_that_does_not_fit_aborts,
        bools,
        integers,
        durations,
        sizes_and_modes,
        choices,
        strings,
        unbounded_strings_end_at_4096_bytes,
        lists_of_strings,
        pairs,
        what_is_allowed,
        options_are_set_or_not,
        equality_sees_every_row,
        an_empty_string_differs_from_none,
        values_are_named_in_messages,
        what_is_printed_reads_as_the_same,
        groups_are_kept_printed_and_compared,
        only_a_list_of_groups_is_one,
        scalars_are_kept_as_text,
        a_template_may_stand_for_a_duration,
    };

    return support_run("option", tests, COUNT_OF(tests));
}
