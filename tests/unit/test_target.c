#include "support.h"
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *raw, *path; /* path NULL: refused */
};

static void check_row(const struct row *row)
{
    struct slice path = {0};
    size_t len = strlen(row->raw);
    char *exact = malloc(len ? len : 1); /* not NUL-terminated, so that ASan sees a byte too far */
    struct arena arena;
    int r;

    memcpy(exact, row->raw, len);
    arena_init(&arena, NULL, 0);
    r = target_path(exact, len, &arena, &path);
    free(exact);
    ck_assert_msg(r == (row->path ? 0 : -EINVAL), "%s: returned %d (path \"%s\")", row->raw, r,
                  r ? "" : path.data);
    if (!r) {
        ck_assert_msg(!strcmp(path.data, row->path), "%s: path is \"%s\" instead of \"%s\"",
                      row->raw, path.data, row->path);
        ck_assert_uint_eq(path.len, strlen(path.data));
    }
    arena_clear(&arena);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i]);
}

START_TEST(plain_paths)
{
    static const struct row rows[] = {
        {"/", "/"},           {"/a", "/a"},         {"/a/b/c", "/a/b/c"},
        {"/a/", "/a/"},       {"/a;v=1", "/a;v=1"}, {"/a+b", "/a+b"},
        {"/~user", "/~user"}, {"/a:b@c", "/a:b@c"}, {"/\xc3\xa4", "/\xc3\xa4"},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(escapes)
{
    static const struct row rows[] = {
        {"/%61", "/a"},
        {"/%41%5A", "/AZ"},
        {"/%7e%7E", "/~~"},
        {"/a%20b", "/a b"},
        {"/%c3%a4", "/\xc3\xa4"},
        {"/%ff", "/\xff"},
        {"/%25", "/%"},
        {"/%2561", "/%61"}, /* decoded once only */
        {"/a%3Fb", "/a?b"}, /* no query begins there */
        {"/a%23b", "/a#b"},
        {"/a%2fb", "/a/b"},
        {"/a%2F%2Fb", "/a/b"},
        {"/%01", "/\x01"},
        {"/%00", NULL},
        {"/a%00b", NULL},
        {"/%", NULL},
        {"/%4", NULL},
        {"/a%", NULL},
        {"/%zz", NULL},
        {"/%4g", NULL},
        {"/%g4", NULL},
        {"/%-1", NULL},
        {"/% 1", NULL},
        {"/%%41", NULL},
        {"/%u0041", NULL},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(slashes_and_dots)
{
    static const struct row rows[] = {
        {"//", "/"},
        {"///", "/"},
        {"//a", "/a"},
        {"/a//b", "/a/b"},
        {"/a///b//", "/a/b/"},
        {"/.", "/"},
        {"/./", "/"},
        {"/./a", "/a"},
        {"/a/.", "/a/"},
        {"/a/./b", "/a/b"},
        {"/..", "/"},
        {"/../", "/"},
        {"/../a", "/a"},
        {"/../../../a", "/a"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/../", "/a/"},
        {"/a/b/../../c", "/c"},
        {"/a/b/../../../c", "/c"},
        {"/a/./b/./../c/.", "/a/c/"},
        {"/a//../b", "/b"}, /* folded before the dots are looked at */
        {"/%2e%2e/a", "/a"},
        {"/a/%2E%2e", "/"},
        {"/a/%2e/b", "/a/b"},
        {"/a/.%2e/b", "/b"},
        {"/a%2f..%2fb", "/b"},
        {"/...", "/..."},
        {"/.a", "/.a"},
        {"/a.", "/a."},
        {"/..a", "/..a"},
        {"/a..", "/a.."},
        {"/a/.../b", "/a/.../b"},
        {"/.a/..", "/"},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(no_path)
{
    static const struct row rows[] = {
        {"", NULL},
        {"*", NULL},
        {"a", NULL},
        {"a/b", NULL},
        {"%2fa", NULL},
        {" /a", NULL},
        {"http://host/a", NULL},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

/* Whatever is accepted is normalised: nothing in it folds or leads upwards. */
START_TEST(accepted_paths_are_normalised)
{
    static const char *const parts[] = {"/", "//", ".", "..", "a", "%2e", "%2f", "bc", "/..", "/."};
    struct support_random random = support_random_new("target");

    for (int i = 0; i < 20000; i++) {
        struct strbuf target = {0};
        struct slice path;
        struct arena arena;

        strbuf_addc(&target, '/');
        for (uint32_t n = support_random_below(&random, 12); n; n--)
            strbuf_adds(&target, parts[support_random_below(&random, COUNT_OF(parts))]);
        arena_init(&arena, NULL, 0);
        ck_assert_int_eq(target_path(target.data, target.len, &arena, &path), 0);
        ck_assert_msg(path.data[0] == '/' && !strstr(path.data, "//") &&
                          !strstr(path.data, "/./") && !strstr(path.data, "/../"),
                      "%s: %s", target.data, path.data);
        ck_assert(path.len < 2 || strcmp(path.data + path.len - 2, "/.") != 0);
        ck_assert(path.len < 3 || strcmp(path.data + path.len - 3, "/..") != 0);
        arena_clear(&arena);
        strbuf_free(&target);
    }
}
END_TEST

/* Whoever takes the path as a string would see less of it than the router. */
START_TEST(a_nul_is_refused_wherever_it_stands)
{
    static const struct {
        char raw[4];
        size_t len;
    } rows[] = {{"/\0a", 3}, {"\0/a", 3}, {"/a\0", 3}, {"/\0", 2}, {"\0", 1}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice path;
        struct arena arena;

        arena_init(&arena, NULL, 0);
        ck_assert_int_eq(target_path(rows[i].raw, rows[i].len, &arena, &path), -EINVAL);
        arena_clear(&arena);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        plain_paths,
        escapes,
        slashes_and_dots,
        no_path,
        accepted_paths_are_normalised,
        a_nul_is_refused_wherever_it_stands,
    };

    return support_run("target", tests, COUNT_OF(tests));
}
