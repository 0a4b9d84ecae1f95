#include "support.h"
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *target, *path, *query; /* path NULL: refused */
};

static void check_row(const struct row *row)
{
    struct slice path = {0}, query = {0};
    size_t len = strlen(row->target);
    char *exact = malloc(len ? len : 1); /* not NUL-terminated, so that ASan sees a byte too far */
    struct arena arena;
    int r;

    memcpy(exact, row->target, len);
    arena_init(&arena, NULL, 0);
    r = target_parse(exact, len, &arena, &path, &query);
    free(exact);
    ck_assert_msg(r == (row->path ? 0 : -EINVAL), "%s: returned %d (path \"%s\")", row->target, r,
                  r ? "" : path.data);
    if (!r) {
        ck_assert_msg(!strcmp(path.data, row->path), "%s: path is \"%s\" instead of \"%s\"",
                      row->target, path.data, row->path);
        ck_assert_msg(!strcmp(query.data, row->query), "%s: query is \"%s\"", row->target,
                      query.data);
        ck_assert_uint_eq(path.len, strlen(path.data));
        ck_assert_uint_eq(query.len, strlen(query.data));
    }
    arena_clear(&arena);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i]);
}

START_TEST(plain_paths_and_queries)
{
    static const struct row rows[] = {
        {"/", "/", ""},
        {"/a", "/a", ""},
        {"/a/b/c", "/a/b/c", ""},
        {"/a/", "/a/", ""},
        {"/a?", "/a", ""},
        {"/a?x=1", "/a", "x=1"},
        {"/a?x=1&y=%20", "/a", "x=1&y=%20"}, /* the query stays raw */
        {"/a?b?c", "/a", "b?c"},
        {"/a?/../b", "/a", "/../b"},
        {"/?q", "/", "q"},
        {"/a;v=1", "/a;v=1", ""},
        {"/a+b", "/a+b", ""},
        {"/~user", "/~user", ""},
        {"/a:b@c", "/a:b@c", ""},
        {"/\xc3\xa4", "/\xc3\xa4", ""},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(escapes)
{
    static const struct row rows[] = {
        {"/%61", "/a", ""},      {"/%41%5A", "/AZ", ""},       {"/%7e%7E", "/~~", ""},
        {"/a%20b", "/a b", ""},  {"/%c3%a4", "/\xc3\xa4", ""}, {"/%ff", "/\xff", ""},
        {"/%25", "/%", ""},      {"/%2561", "/%61", ""}, /* decoded once only */
        {"/a%3Fb", "/a?b", ""},                          /* no query begins there */
        {"/a%23b", "/a#b", ""},  {"/a%2fb", "/a/b", ""},       {"/a%2F%2Fb", "/a/b", ""},
        {"/%01", "/\x01", ""},   {"/%00", NULL, NULL},         {"/a%00b", NULL, NULL},
        {"/%", NULL, NULL},      {"/%4", NULL, NULL},          {"/%4?1", NULL, NULL},
        {"/a%", NULL, NULL},     {"/%zz", NULL, NULL},         {"/%4g", NULL, NULL},
        {"/%g4", NULL, NULL},    {"/%-1", NULL, NULL},         {"/% 1", NULL, NULL},
        {"/%%41", NULL, NULL},   {"/%u0041", NULL, NULL},      {"/a?%zz", "/a", "%zz"},
        {"/a?%00", "/a", "%00"},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(slashes_and_dots)
{
    static const struct row rows[] = {
        {"//", "/", ""},
        {"///", "/", ""},
        {"//a", "/a", ""},
        {"/a//b", "/a/b", ""},
        {"/a///b//", "/a/b/", ""},
        {"/.", "/", ""},
        {"/./", "/", ""},
        {"/./a", "/a", ""},
        {"/a/.", "/a/", ""},
        {"/a/./b", "/a/b", ""},
        {"/..", "/", ""},
        {"/../", "/", ""},
        {"/../a", "/a", ""},
        {"/../../../a", "/a", ""},
        {"/a/..", "/", ""},
        {"/a/../", "/", ""},
        {"/a/../b", "/b", ""},
        {"/a/b/..", "/a/", ""},
        {"/a/b/../", "/a/", ""},
        {"/a/b/../../c", "/c", ""},
        {"/a/b/../../../c", "/c", ""},
        {"/a/./b/./../c/.", "/a/c/", ""},
        {"/a//../b", "/b", ""}, /* folded before the dots are looked at */
        {"/%2e%2e/a", "/a", ""},
        {"/a/%2E%2e", "/", ""},
        {"/a/%2e/b", "/a/b", ""},
        {"/a/.%2e/b", "/b", ""},
        {"/a%2f..%2fb", "/b", ""},
        {"/...", "/...", ""},
        {"/.a", "/.a", ""},
        {"/a.", "/a.", ""},
        {"/..a", "/..a", ""},
        {"/a..", "/a..", ""},
        {"/a/.../b", "/a/.../b", ""},
        {"/.a/..", "/", ""},
    };

    check_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(other_forms)
{
    static const struct row rows[] = {
        {"*", "*", ""},
        {"http://host", "/", ""},
        {"http://host/", "/", ""},
        {"http://host/a/../b?q=1", "/b", "q=1"},
        {"http://host:8080/a", "/a", ""},
        {"http://[::1]:80/a", "/a", ""},
        {"HTTP://host/a", "/a", ""},
        {"https://host/a", "/a", ""},
        {"hTTpS://host?q", "/", "q"},
        {"http://host//a", "/a", ""},
        {"http://host/a%62", "/ab", ""},
        {"", NULL, NULL},
        {"**", NULL, NULL},
        {"*?q", NULL, NULL},
        {"a", NULL, NULL},
        {"a/b", NULL, NULL},
        {"?q", NULL, NULL},
        {"host:80", NULL, NULL},
        {"http://", NULL, NULL},
        {"http:///a", NULL, NULL},
        {"http://?q", NULL, NULL},
        {"http:/host/a", NULL, NULL},
        {"http", NULL, NULL},
        {"ftp://host/a", NULL, NULL},
        {" /a", NULL, NULL},
        {"/a#f", NULL, NULL},
        {"/#", NULL, NULL},
        {"/a?q#f", NULL, NULL},
        {"http://host#f", NULL, NULL},
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
        struct slice path, query;
        struct arena arena;

        strbuf_addc(&target, '/');
        for (uint32_t n = support_random_below(&random, 12); n; n--)
            strbuf_adds(&target, parts[support_random_below(&random, COUNT_OF(parts))]);
        arena_init(&arena, NULL, 0);
        ck_assert_int_eq(target_parse(target.data, target.len, &arena, &path, &query), 0);
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

int main(void)
{
    const TTest *const tests[] = {
        plain_paths_and_queries,       escapes, slashes_and_dots, other_forms,
        accepted_paths_are_normalised,
    };

    return support_run("target", tests, COUNT_OF(tests));
}
