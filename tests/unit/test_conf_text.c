#include "conf_text.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct conf_text text;
static struct conf_faults faults;

static int load(const char *path)
{
    return conf_text_load(path, &text, &faults);
}

static void load_good(const char *path)
{
    ck_assert_int_eq(load(path), 0);
    ck_assert_msg(faults.count == 0, "%s: %s", faults.count ? faults.items[0].where : "",
                  faults.count ? faults.items[0].text : "");
}

static void load_text(const char *content)
{
    load_good(support_write("main.conf", content));
}

static void done(void)
{
    conf_text_free(&text);
    conf_faults_clear(&faults);
}

/* The last part of a path. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Where the line of the joined text that holds `marker` comes from must be `expected`. */
static void check_where(const char *marker, const char *expected)
{
    const char *all = strbuf_cstr(&text.text), *found = strstr(all, marker);
    struct strbuf where = {0};
    unsigned line = 1;

    ck_assert_msg(found != NULL, "%s is not in: %s", marker, all);
    for (const char *p = all; p < found; p++)
        line += *p == '\n';
    conf_text_where(&text, line, &where);
    ck_assert_msg(!strcmp(base_name(strbuf_cstr(&where)), expected), "%s is at %s instead of %s",
                  marker, strbuf_cstr(&where), expected);
    strbuf_free(&where);
}

static void check_fault(size_t i, const char *where, const char *part)
{
    ck_assert_uint_gt(faults.count, i);
    ck_assert_msg(!strcmp(base_name(faults.items[i].where), where), "%s instead of %s: %s",
                  faults.items[i].where, where, faults.items[i].text);
    ck_assert_contains(faults.items[i].text, part);
}

/* Text in which there is nothing to do must come out as it went in. */
START_TEST(plain_text_is_left_alone)
{
    static const char *const texts[] = {
        "",
        "\n",
        "a = 1;",
        "a = 1;\n",
        "a : { b = \"x\"; c = ( 1, 2 ); };\n",
        "a = \"one\" \"two\";\n",
        "a = \"say \\\"hi\\\"; a = 2\"; b = 1;\n",
        "a = \"ends with a backslash \\\\\"; b = 1;\n",
        "a = \"# no comment\"; b = \"// none\"; c = \"/* none\";\n",
        "# a = 1;\na = 2;\n",
        "// a = 1;\na = 2;\n",
        "/* a = 1; */ a = 2;\n",
        "/* over\n lines a = 1; */\na = 2;\n",
        "a /* between */ = 1;\n",
        "a = 1; # \" unbalanced\nb = 2;\n",
        "a = 1; /* \" unbalanced */ b = 2;\n",
        "a = \"two\nlines\"; b = 1;\n",
        "a = 1.5; b = 1e5; c = -2.5E-3; d = .5;\n",
        "a = true; b = FALSE;\n",
        "a = 0x1F; b = 0;\n",
        "a = { };\r\nb = 1;\r\n",
        "a = \"unterminated\n",
        "/* unterminated\n",
        "} ) ] a = 1;\n",
        "a-b_c* = 1;\n",
        "a = \"@include \\\"x\\\"\";\n",
        "# @include \"x\"\n",
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        load_text(texts[i]);
        ck_assert_str_eq(strbuf_cstr(&text.text), texts[i]);
        done();
    }
}
END_TEST

START_TEST(a_byte_or_two_at_the_end_harm_nobody)
{
    static const char *const ends[] = {
        "/",  "#", "\"", "\\", "\"\\", "@",  "@include", "-", "+",
        "0x", "a", "a=", "/*", "/**",  "//", "{",        "1", "@include \""};

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        ck_assert_int_eq(load(support_write("main.conf", ends[i])), 0);
        done();
    }
}
END_TEST

START_TEST(lines_are_mapped)
{
    load_text("first = 1;\n/* two\n three */ third = 2;\nfourth = \"x\ny\"; fifth = 1;\n# six\n"
              "seventh = 1;");
    check_where("first", "main.conf:1");
    check_where("/* two", "main.conf:2");
    check_where("third", "main.conf:3");
    check_where("fourth", "main.conf:4");
    check_where("fifth", "main.conf:5");
    check_where("seventh", "main.conf:7");
    done();
}
END_TEST

START_TEST(lines_that_are_not_there_have_a_place_too)
{
    struct conf_text none = {0};
    struct strbuf where = {0};

    load_text("a = 1;\nb = 2;\n");
    conf_text_where(&text, 0, &where);
    ck_assert_str_eq(base_name(strbuf_cstr(&where)), "main.conf:1");
    strbuf_free(&where);
    conf_text_where(&text, 99, &where);
    ck_assert_str_eq(base_name(strbuf_cstr(&where)), "main.conf:3");
    strbuf_free(&where);
    done();
    conf_text_where(&none, 1, &where);
    ck_assert_strbuf(&where, "?:1");
}
END_TEST

/* ---- includes -------------------------------------------------------------------------------- */

START_TEST(an_include_is_read_in_its_place)
{
    support_write("sub.conf", "inside_one = 1;\ninside_two = 2;\n");
    load_text("before = 1;\n  @include \"sub.conf\"\nafter = 1;\n");
    ck_assert_uint_eq(text.n_files, 2);
    check_where("before", "main.conf:1");
    check_where("inside_one", "sub.conf:1");
    check_where("inside_two", "sub.conf:2");
    check_where("after", "main.conf:3");
    ck_assert_ptr_null(strstr(strbuf_cstr(&text.text), "@include"));
    done();
}
END_TEST

START_TEST(an_include_may_lack_its_last_newline_or_be_empty)
{
    static const char *const contents[] = {"# inside", "", "\n", "\n\n# end", "# x\n"};

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        support_write("sub.conf", contents[i]);
        load_text("before = 1;\n@include \"sub.conf\"\nafter = 1;\n@include \"sub.conf\"\nlast=1;");
        check_where("before", "main.conf:1");
        check_where("after", "main.conf:3");
        check_where("last", "main.conf:5");
        done();
        conf_faults_clear(&faults);
    }
}
END_TEST

START_TEST(an_include_is_relative_to_its_own_file)
{
    support_write("d/one.conf", "one = 1;\n@include \"e/two.conf\"\nsince = 1;\n");
    support_write("d/e/two.conf", "two = 1;\n@include \"../three.conf\"\n");
    support_write("d/three.conf", "three = 1;\n");
    load_text("@include \"d/one.conf\"\nend = 1;\n");
    ck_assert_uint_eq(text.n_files, 4);
    check_where("one", "one.conf:1");
    check_where("two", "two.conf:1");
    check_where("three", "three.conf:1");
    check_where("since", "one.conf:3");
    check_where("end", "main.conf:2");
    done();
}
END_TEST

START_TEST(an_include_may_be_absolute)
{
    struct strbuf content = {0};

    strbuf_addf(&content, "@include \"%s\"\n", support_write("d/abs.conf", "abs = 1;\n"));
    load_text(strbuf_cstr(&content));
    check_where("abs", "abs.conf:1");
    strbuf_free(&content);
    done();
}
END_TEST

START_TEST(an_include_works_inside_brackets)
{
    support_write("routes.conf", "{ path = \"/a\"; },\n{ path = \"/b\"; }");
    load_text("routes: (\n@include \"routes.conf\"\n);\nend = 1;\n");
    check_where("/b", "routes.conf:2");
    check_where("end", "main.conf:4");
    done();
}
END_TEST

START_TEST(the_same_file_twice_is_no_cycle)
{
    support_write("sub.conf", "x = 1;\n");
    load_text("a: {\n@include \"sub.conf\"\n};\nb: {\n@include \"sub.conf\"\n};\n");
    ck_assert_uint_eq(text.n_files, 3);
    done();
}
END_TEST

START_TEST(cycles_are_found)
{
    const char *path = support_write("a.conf", "x = 1;\n@include \"b.conf\"\ny = 1;\n");

    support_write("b.conf", "\n\n@include \"./a.conf\"\nz = 1;\n");
    ck_assert_int_eq(load(path), 0);
    ck_assert_uint_eq(faults.count, 1);
    check_fault(0, "b.conf:3", "includes itself");
    check_where("z", "b.conf:4");
    check_where("y", "a.conf:3");
    done();
    path = support_write("self.conf", "@include \"self.conf\"\n");
    ck_assert_int_eq(load(path), 0);
    ck_assert_uint_eq(faults.count, 1);
    check_fault(0, "self.conf:1", "includes itself");
    done();
}
END_TEST

START_TEST(includes_end_at_a_depth)
{
    char name[32], content[64];

    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "deep%d.conf", i);
        snprintf(content, sizeof content, "level%d = 1;\n@include \"deep%d.conf\"\n", i, i + 1);
        support_write(name, content);
    }
    ck_assert_int_eq(load(support_path("deep0.conf")), 0);
    ck_assert_uint_eq(faults.count, 1);
    check_fault(0, "deep9.conf:2", "10 files deep");
    check_where("level9", "deep9.conf:1");
    ck_assert_ptr_null(strstr(strbuf_cstr(&text.text), "level10"));
    done();
    support_write("deep9.conf", "level9 = 1;\n");
    load_good(support_path("deep0.conf"));
    done();
}
END_TEST

START_TEST(missing_includes_are_faults_all_of_them)
{
    const char *path =
        support_write("main.conf", "a = 1;\n@include \"no1.conf\"\nb = 1;\n"
                                   "@include \"no2.conf\"\nc = 1;\n@include \".\"\n");

    ck_assert_int_eq(load(path), 0);
    ck_assert_uint_eq(faults.count, 3);
    check_fault(0, "main.conf:2", "no1.conf");
    check_fault(0, "main.conf:2", strerror(ENOENT));
    check_fault(1, "main.conf:4", "no2.conf");
    check_fault(2, "main.conf:6", strerror(EISDIR));
    check_where("c = 1", "main.conf:5");
    done();
}
END_TEST

START_TEST(includes_need_a_name_in_quotes)
{
    static const char *const lines[] = {"@include", "@include sub.conf", "@include \"\"",
                                        "@include \"sub.conf", "@include 'sub.conf'"};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct strbuf content = {0};

        strbuf_addf(&content, "a = 1;\n%s\nb = 1;\n", lines[i]);
        ck_assert_int_eq(load(support_write("main.conf", strbuf_cstr(&content))), 0);
        ck_assert_uint_eq(faults.count, 1);
        check_fault(0, "main.conf:2", "double quotes");
        check_where("b = 1", "main.conf:3");
        strbuf_free(&content);
        done();
    }
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

START_TEST(files_that_cannot_be_read_give_no_text)
{
    ck_assert_int_lt(load(support_path("none.conf")), 0);
    ck_assert_uint_eq(faults.count, 1);
    check_fault(0, "none.conf", strerror(ENOENT));
    done();
    ck_assert_int_eq(mkdir(support_path("directory"), 0700), 0);
    ck_assert_int_lt(load(support_path("directory")), 0);
    check_fault(0, "directory", strerror(EISDIR));
    done();
}
END_TEST

START_TEST(nul_bytes_are_a_fault)
{
    ck_assert_int_lt(load(support_write_bytes("nul.conf", "a = 1;\0b = 1;\n", 14)), 0);
    ck_assert_uint_eq(faults.count, 1);
    check_fault(0, "nul.conf", "NUL byte at offset 6");
    done();
}
END_TEST

START_TEST(deep_brackets_are_a_fault)
{
    char content[200];

    memset(content, '{', 100);
    content[100] = '\0';
    ck_assert_int_lt(load(support_write("main.conf", content)), 0);
    check_fault(0, "main.conf:1", "brackets deep");
    done();
}
END_TEST

/* ---- names that are set twice ---------------------------------------------------------------- */

START_TEST(names_set_twice_are_faults_with_both_places)
{
    static const struct {
        const char *content, *where, *path, *first;
    } rows[] = {
        {"a = 1;\na = 2;\n", "main.conf:2", "a: ", "main.conf:1"},
        {"a: { b = 1;\n\n b = 2; };\n", "main.conf:3", "a.b: ", "main.conf:1"},
        {"a: { b: { c = 1;\n c = 2; }; };\n", "main.conf:2", "a.b.c: ", "main.conf:1"},
        {"a: { };\nb = 1;\na: { };\n", "main.conf:3", "a: ", "main.conf:1"},
        {"a = 1; /* a = 2; */\n# a = 3;\na : 4;\n", "main.conf:3", "a: ", "main.conf:1"},
        {"a = \"x = 1\"; x = 1;\nx\n= 2;\n", "main.conf:2", "x: ", "main.conf:1"},
        {"r: ( { p = 1; }, { q = 1;\n q = 2; } );\n", "main.conf:2", "r[1].q: ", "main.conf:1"},
        {"r: ( ( 1 ), { p = [ 1, 2 ];\n p = 3; } );\n", "main.conf:2", "r[1].p: ", "main.conf:1"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ck_assert_int_eq(load(support_write("main.conf", rows[i].content)), 0);
        ck_assert_msg(faults.count == 1, "%zu faults in %s", faults.count, rows[i].content);
        check_fault(0, rows[i].where, "is set twice");
        check_fault(0, rows[i].where, rows[i].path);
        check_fault(0, rows[i].where, rows[i].first);
        ck_assert_contains(strbuf_cstr(&text.text), CONF_TEXT_DUPLICATE_PREFIX);
        done();
    }
}
END_TEST

START_TEST(the_same_name_elsewhere_is_good)
{
    static const char *const texts[] = {
        "a: { x = 1; }; b: { x = 1; }; x = 1;\n",
        "r: ( { x = 1; }, { x = 1; } );\n",
        "a = 1; A = 1; ab = 1; a-b = 1;\n",
        "a: { a: { a = 1; }; };\n",
        "a = \"a\"; b = \"a = 1\";\n",
        "r: ( \"a\", \"a\" ); s = [ 1, 1 ]; t = true; u = true;\n",
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        load_text(texts[i]);
        ck_assert_str_eq(strbuf_cstr(&text.text), texts[i]);
        done();
    }
}
END_TEST

START_TEST(names_are_set_twice_across_files)
{
    const char *path;

    support_write("sub.conf", "\nx = 2;\n");
    path = support_write("main.conf", "x = 1;\n@include \"sub.conf\"\ny = 1;\ny = 2; y = 3;\n");
    ck_assert_int_eq(load(path), 0);
    ck_assert_uint_eq(faults.count, 3);
    check_fault(0, "sub.conf:2", "main.conf:1");
    check_fault(1, "main.conf:4", "main.conf:3");
    check_fault(2, "main.conf:4", "main.conf:3");
    done();
}
END_TEST

/* ---- numbers --------------------------------------------------------------------------------- */

START_TEST(integers_past_32_bits_get_a_suffix)
{
    static const struct {
        const char *content, *expected;
    } rows[] = {
        {"a = 2147483647;", "a = 2147483647;"},
        {"a = 2147483648;", "a = 2147483648L;"},
        {"a = -2147483648;", "a = -2147483648;"},
        {"a = -2147483649;", "a = -2147483649L;"},
        {"a = 9223372036854775807;", "a = 9223372036854775807L;"},
        {"a = -9223372036854775807;", "a = -9223372036854775807L;"},
        {"a = 4294967296L;", "a = 4294967296L;"},
        {"a = 4294967296LL;", "a = 4294967296L;"},
        {"a = 0xFFFFFFFF;", "a = 0xFFFFFFFFL;"},
        {"a = 0x7FFFFFFFFFFFFFFF;", "a = 0x7FFFFFFFFFFFFFFFL;"},
        {"a = 12345678901.5;", "a = 12345678901.5;"},
        {"a = 12345678901e2;", "a = 12345678901e2;"},
        {"a = ( 1, 3000000000, 2 );", "a = ( 1, 3000000000L, 2 );"},
        {"a = \"3000000000\"; # 3000000000", "a = \"3000000000\"; # 3000000000"},
        {"a3000000000 = 1;", "a3000000000 = 1;"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        load_text(rows[i].content);
        ck_assert_str_eq(strbuf_cstr(&text.text), rows[i].expected);
        done();
    }
}
END_TEST

START_TEST(numbers_that_no_integer_holds_are_faults)
{
    static const char *const numbers[] = {
        "9223372036854775808",  "-9223372036854775809",
        "99999999999999999999", "999999999999999999999999999999999999999999999999999999",
        "0x10000000000000000",  "0xFFFFFFFFFFFFFFFF",
    };

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct strbuf content = {0};

        strbuf_addf(&content, "x = 1;\na = %s;\n", numbers[i]);
        ck_assert_int_eq(load(support_write("main.conf", strbuf_cstr(&content))), 0);
        ck_assert_msg(faults.count == 1, "%s is no fault", numbers[i]);
        check_fault(0, "main.conf:2", numbers[i]);
        check_fault(0, "main.conf:2", "too large");
        strbuf_free(&content);
        done();
    }
}
END_TEST

START_TEST(a_string_stands_for_a_file)
{
    ck_assert_int_eq(conf_text_from_string("-o", "a = 3000000000;\na = 1;\n", &text, &faults), 0);
    ck_assert_uint_eq(text.n_files, 1);
    ck_assert_contains(strbuf_cstr(&text.text), "a = 3000000000L;\n");
    ck_assert_uint_eq(faults.count, 1);
    check_fault(0, "-o:2", "is set twice; first at -o:1");
    check_where("= 1", "-o:2");
    done();
    ck_assert_int_eq(conf_text_from_string("-o", "", &text, &faults), 0);
    ck_assert_str_eq(strbuf_cstr(&text.text), "");
    done();
}
END_TEST

/* ---- anything -------------------------------------------------------------------------------- */

/* Whatever the bytes: the map has a place for each line of the text. */
START_TEST(random_text_is_mapped_line_by_line)
{
    static const char *const pieces[] = {
        "a",           "b",  " = ",  "{",  "}",
        "(",           ")",  ";",    ",",  "\n",
        "\"",          "\\", "#",    "//", "/*",
        "*/",          "12", "0x1f", " ",  "[",
        "]",           ":",  "\n",   "\n", "\n@include \"sub.conf\"\n",
        "99999999999", "@",  "-1"};
    struct support_random random = support_random_new("conf_text");

    support_write("sub.conf", "x = 1;\n(");
    for (int i = 0; i < 500; i++) {
        struct strbuf content = {0};
        size_t lines = 1;

        for (uint32_t n = support_random_below(&random, 60); n; n--)
            strbuf_adds(&content, pieces[support_random_below(&random, COUNT_OF(pieces))]);
        if (load(support_write("main.conf", strbuf_cstr(&content))) == 0) {
            for (size_t k = 0; k < text.text.len; k++)
                lines += text.text.data[k] == '\n';
            ck_assert_msg(text.n_lines == lines, "%zu lines are mapped, there are %zu in:\n%s",
                          text.n_lines, lines, strbuf_cstr(&content));
            for (size_t k = 0; k < text.n_lines; k++)
                ck_assert(text.lines[k].file < text.n_files && text.lines[k].number > 0);
        }
        strbuf_free(&content);
        done();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        plain_text_is_left_alone,
        a_byte_or_two_at_the_end_harm_nobody,
        lines_are_mapped,
        lines_that_are_not_there_have_a_place_too,
        an_include_is_read_in_its_place,
        an_include_may_lack_its_last_newline_or_be_empty,
        an_include_is_relative_to_its_own_file,
        an_include_may_be_absolute,
        an_include_works_inside_brackets,
        the_same_file_twice_is_no_cycle,
        cycles_are_found,
        includes_end_at_a_depth,
        missing_includes_are_faults_all_of_them,
        includes_need_a_name_in_quotes,
        files_that_cannot_be_read_give_no_text,
        nul_bytes_are_a_fault,
        deep_brackets_are_a_fault,
        names_set_twice_are_faults_with_both_places,
        the_same_name_elsewhere_is_good,
        names_are_set_twice_across_files,
        integers_past_32_bits_get_a_suffix,
        numbers_that_no_integer_holds_are_faults,
        a_string_stands_for_a_file,
        random_text_is_mapped_line_by_line,
    };

    return support_run("conf_text", tests, COUNT_OF(tests));
}
