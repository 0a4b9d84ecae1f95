#include "http_method.h"
#include "router.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GET = METHOD_BIT(METHOD_GET),
    HEAD = METHOD_BIT(METHOD_HEAD),
    POST = METHOD_BIT(METHOD_POST),
    PUT = METHOD_BIT(METHOD_PUT),
    OPTIONS = METHOD_BIT(METHOD_OPTIONS),
};

static int add_to(struct router *router, const char *pattern, unsigned methods, uint64_t listeners,
                  size_t route, size_t *other)
{
    struct strbuf why = {0};
    int r = router_add(router, pattern, methods, listeners, route, other, &why);

    ck_assert_msg((r == -EINVAL) == (why.len > 0), "%s: %d, \"%s\"", pattern, r, strbuf_cstr(&why));
    strbuf_free(&why);
    return r;
}

static void add(struct router *router, const char *pattern, unsigned methods, size_t route)
{
    size_t other;

    ck_assert_msg(add_to(router, pattern, methods, UINT64_MAX, route, &other) == 0, "%s", pattern);
}

/* The route, or the negative result. */
static long find_on(const struct router *router, const char *path, unsigned method,
                    unsigned listener, struct route_match *match)
{
    size_t len = strlen(path);
    char *exact = malloc(len ? len : 1); /* without a NUL behind it */
    int r;

    for (size_t i = 0; i < len; i++)
        exact[i] = path[i];
    r = router_find(router, exact, len, method, listener, match);
    /* Values lie within the path: bring them over to the one that stays. */
    for (size_t i = 0; i < match->n_params; i++)
        match->params[i].value = path + (match->params[i].value - exact);
    free(exact);
    return r ? r : (long)match->route;
}

static long find(const struct router *router, const char *path, unsigned method)
{
    struct route_match match;

    return find_on(router, path, method, 0, &match);
}

static void check_param(const struct route_match *match, size_t i, const char *name,
                        const char *value)
{
    ck_assert_uint_gt(match->n_params, i);
    ck_assert_str_eq(match->params[i].name, name);
    ck_assert_uint_eq(match->params[i].len, strlen(value));
    ck_assert_mem_eq(match->params[i].value, value, strlen(value));
}

START_TEST(exact_paths)
{
    struct router *router = router_new();

    add(router, "/", GET, 0);
    add(router, "/a", GET, 1);
    add(router, "/a/", GET, 2);
    add(router, "/a/b", GET, 3);
    add(router, "/ab", GET, 4);
    ck_assert_int_eq(find(router, "/", GET), 0);
    ck_assert_int_eq(find(router, "/a", GET), 1);
    ck_assert_int_eq(find(router, "/a/", GET), 2);
    ck_assert_int_eq(find(router, "/a/b", GET), 3);
    ck_assert_int_eq(find(router, "/ab", GET), 4);
    ck_assert_int_eq(find(router, "/a/b/", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/b", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/A", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/abc", GET), -ENOENT);
    ck_assert_int_eq(find(router, "", GET), -ENOENT);
    ck_assert_int_eq(find(router, "a", GET), -ENOENT);
    ck_assert_int_eq(find(router, "*", GET), -ENOENT);
    router_free(router);
    router_free(NULL);
}
END_TEST

START_TEST(an_empty_router_finds_nothing)
{
    struct router *router = router_new();

    ck_assert_int_eq(find(router, "/", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/a/b", OPTIONS), -ENOENT);
    router_free(router);
}
END_TEST

START_TEST(named_segments)
{
    struct router *router = router_new();
    struct route_match match;

    add(router, "/jobs/{id}", GET, 0);
    add(router, "/jobs/{id}/log/{line_2}", GET, 1);
    ck_assert_int_eq(find_on(router, "/jobs/42", GET, 0, &match), 0);
    ck_assert_uint_eq(match.n_params, 1);
    check_param(&match, 0, "id", "42");
    ck_assert_int_eq(find_on(router, "/jobs/a b/log/x", GET, 0, &match), 1);
    ck_assert_uint_eq(match.n_params, 2);
    check_param(&match, 0, "id", "a b");
    check_param(&match, 1, "line_2", "x");
    ck_assert_int_eq(find(router, "/jobs/", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/jobs", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/jobs/1/2", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/jobs//log/x", GET), -ENOENT);
    ck_assert_int_eq(find_on(router, "/jobs/1/log/", GET, 0, &match), -ENOENT);
    router_free(router);
}
END_TEST

START_TEST(prefixes)
{
    struct router *router = router_new();
    struct route_match match;

    add(router, "/files/*", GET, 0);
    add(router, "/u/{name}/*", GET, 1);
    ck_assert_int_eq(find_on(router, "/files/a/b", GET, 0, &match), 0);
    ck_assert_uint_eq(match.n_params, 1);
    check_param(&match, 0, "rest", "a/b");
    ck_assert_int_eq(find_on(router, "/files/", GET, 0, &match), 0);
    check_param(&match, 0, "rest", "");
    ck_assert_int_eq(find_on(router, "/u/me/x/", GET, 0, &match), 1);
    ck_assert_uint_eq(match.n_params, 2);
    check_param(&match, 0, "name", "me");
    check_param(&match, 1, "rest", "x/");
    ck_assert_int_eq(find(router, "/files", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/filesx", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/u/me", GET), -ENOENT);
    ck_assert_int_eq(find(router, "/u//x", GET), -ENOENT);
    add(router, "/*", GET, 2);
    ck_assert_int_eq(find(router, "/files", GET), 2);
    ck_assert_int_eq(find_on(router, "/", GET, 0, &match), 2);
    check_param(&match, 0, "rest", "");
    router_free(router);
}
END_TEST

START_TEST(the_most_specific_wins_whatever_the_order)
{
    static const char *const patterns[] = {"/*", "/{x}/*", "/{x}/{y}", "/a/*", "/a/{y}", "/a/b"};

    for (int backwards = 0; backwards < 2; backwards++) {
        struct router *router = router_new();

        for (size_t i = 0; i < COUNT_OF(patterns); i++) {
            size_t route = backwards ? COUNT_OF(patterns) - 1 - i : i;

            add(router, patterns[route], GET, route);
        }
        ck_assert_int_eq(find(router, "/a/b", GET), 5);
        ck_assert_int_eq(find(router, "/a/c", GET), 4);
        ck_assert_int_eq(find(router, "/a/b/c", GET), 3);
        ck_assert_int_eq(find(router, "/a/", GET), 3);
        ck_assert_int_eq(find(router, "/c/b", GET), 2);
        ck_assert_int_eq(find(router, "/c/b/d", GET), 1);
        ck_assert_int_eq(find(router, "/a", GET), 0);
        ck_assert_int_eq(find(router, "/c", GET), 0);
        router_free(router);
    }
}
END_TEST

START_TEST(a_branch_that_leads_to_nothing_is_left_again)
{
    struct router *router = router_new();
    struct route_match match;

    add(router, "/a/b/c", GET, 0);
    add(router, "/a/{x}/d", GET, 1);
    add(router, "/{x}/b/e", GET, 2);
    add(router, "/{p}/*", GET, 3);
    ck_assert_int_eq(find(router, "/a/b/c", GET), 0);
    ck_assert_int_eq(find_on(router, "/a/b/d", GET, 0, &match), 1);
    ck_assert_uint_eq(match.n_params, 1);
    check_param(&match, 0, "x", "b");
    ck_assert_int_eq(find_on(router, "/a/b/e", GET, 0, &match), 2);
    ck_assert_uint_eq(match.n_params, 1);
    check_param(&match, 0, "x", "a");
    ck_assert_int_eq(find_on(router, "/a/b/f", GET, 0, &match), 3);
    check_param(&match, 0, "p", "a");
    check_param(&match, 1, "rest", "b/f");
    router_free(router);
}
END_TEST

START_TEST(a_pattern_without_the_method_gives_way)
{
    struct router *router = router_new();
    struct route_match match;

    add(router, "/a", POST, 0);
    add(router, "/{x}", GET, 1);
    add(router, "/*", PUT, 2);
    ck_assert_int_eq(find(router, "/a", POST), 0);
    ck_assert_int_eq(find(router, "/a", GET), 1);
    ck_assert_int_eq(find(router, "/a", PUT), 2);
    ck_assert_int_eq(find_on(router, "/a", METHOD_BIT(METHOD_DELETE), 0, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, POST | GET | HEAD | PUT | OPTIONS);
    ck_assert_int_eq(find_on(router, "/b", POST, 0, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, GET | HEAD | PUT | OPTIONS);
    ck_assert_int_eq(find_on(router, "/b/c", METHOD_BIT(METHOD_UNKNOWN), 0, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, PUT | OPTIONS);
    router_free(router);
}
END_TEST

START_TEST(head_takes_a_get_route_unless_one_names_head)
{
    struct router *router = router_new();
    struct route_match match;

    add(router, "/a", GET, 0);
    add(router, "/b", GET, 1);
    add(router, "/b", HEAD, 2);
    add(router, "/c", POST, 3);
    ck_assert_int_eq(find(router, "/a", HEAD), 0);
    ck_assert_int_eq(find(router, "/b", GET), 1);
    ck_assert_int_eq(find(router, "/b", HEAD), 2);
    ck_assert_int_eq(find_on(router, "/c", HEAD, 0, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, POST | OPTIONS);
    router_free(router);
}
END_TEST

START_TEST(options_is_allowed_everywhere_and_found_where_named)
{
    struct router *router = router_new();
    struct route_match match;

    add(router, "/a", GET, 0);
    add(router, "/b", OPTIONS | POST, 1);
    ck_assert_int_eq(find_on(router, "/a", OPTIONS, 0, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, GET | HEAD | OPTIONS);
    ck_assert_int_eq(find(router, "/b", OPTIONS), 1);
    router_free(router);
}
END_TEST

START_TEST(listeners_see_their_own_routes)
{
    struct router *router = router_new();
    struct route_match match;
    size_t other;

    ck_assert_int_eq(add_to(router, "/a", GET, UINT64_C(1) << 0, 0, &other), 0);
    ck_assert_int_eq(add_to(router, "/a", GET, UINT64_C(1) << 63, 1, &other), 0);
    ck_assert_int_eq(add_to(router, "/a", POST, UINT64_C(3), 2, &other), 0);
    ck_assert_int_eq(find_on(router, "/a", GET, 0, &match), 0);
    ck_assert_int_eq(find_on(router, "/a", GET, 63, &match), 1);
    ck_assert_int_eq(find_on(router, "/a", POST, 1, &match), 2);
    ck_assert_int_eq(find_on(router, "/a", GET, 1, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, POST | OPTIONS);
    ck_assert_int_eq(find_on(router, "/a", POST, 63, &match), -EACCES);
    ck_assert_uint_eq(match.allowed, GET | HEAD | OPTIONS);
    ck_assert_int_eq(find_on(router, "/a", GET, 5, &match), -ENOENT);
    router_free(router);
}
END_TEST

START_TEST(the_same_requests_twice_are_a_conflict)
{
    static const struct {
        const char *first, *second;
        unsigned first_methods, second_methods;
        uint64_t first_listeners, second_listeners;
        bool conflict;
    } rows[] = {
        {"/a", "/a", GET, GET, 1, 1, true},
        {"/a", "/a", GET | POST, PUT | POST, 1, 1, true},
        {"/a", "/a", GET, GET, 3, 6, true},
        {"/a/{x}", "/a/{y}", GET, GET, 1, 1, true},
        {"/{x}/b", "/{y}/b", GET, GET, 1, 1, true},
        {"/a/*", "/a/*", GET, GET, 1, 1, true},
        {"/{x}/*", "/{other}/*", GET, GET, 1, 1, true},
        {"/", "/", GET, GET, 1, 1, true},
        {"/a", "/a", GET, POST, 1, 1, false},
        {"/a", "/a", GET, GET, 1, 2, false},
        {"/a", "/a/", GET, GET, 1, 1, false},
        {"/a/{x}", "/a/*", GET, GET, 1, 1, false},
        {"/a/{x}", "/a/b", GET, GET, 1, 1, false},
        {"/a/", "/a/*", GET, GET, 1, 1, false},
        {"/a", "/A", GET, GET, 1, 1, false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct router *router = router_new();
        size_t other = 99;

        ck_assert_int_eq(add_to(router, rows[i].first, rows[i].first_methods,
                                rows[i].first_listeners, 7, &other),
                         0);
        ck_assert_msg(add_to(router, rows[i].second, rows[i].second_methods,
                             rows[i].second_listeners, 8,
                             &other) == (rows[i].conflict ? -EEXIST : 0),
                      "%s, %s", rows[i].first, rows[i].second);
        ck_assert_uint_eq(other, rows[i].conflict ? 7 : 99);
        router_free(router);
    }
}
END_TEST

START_TEST(bad_patterns_are_refused_with_a_reason)
{
    static const struct {
        const char *pattern, *reason;
    } rows[] = {
        {"", "begin"},
        {"a", "begin"},
        {"*", "begin"},
        {"{x}", "begin"},
        {"//", "empty"},
        {"/a//b", "empty"},
        {"/a?b", "?"},
        {"/a#b", "#"},
        {"/a b", "blanks"},
        {"/a\tb", "blanks"},
        {"/a\x7f", "blanks"},
        {"/.", ". or .."},
        {"/..", ". or .."},
        {"/a/./b", ". or .."},
        {"/a/../b", ". or .."},
        {"/a/..", ". or .."},
        {"/a/.b/..", ". or .."},
        {"/a*", "segment"},
        {"/*a", "segment"},
        {"/**", "segment"},
        {"/*/a", "segment"},
        {"/a/*/", "segment"},
        {"/{", "{"},
        {"/{}", "{}"},
        {"/{x", "{x"},
        {"/x}", "x}"},
        {"/{x}y", "{x}y"},
        {"/y{x}", "y{x}"},
        {"/{a-b}", "{a-b}"},
        {"/{a b}", "blanks"},
        {"/{\xc3\xa4}", "{"},
        {"/{{x}}", "{{x}}"},
        {"/{x}{y}", "{x}{y}"},
        {"/{x}/{x}", "\"x\""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct router *router = router_new();
        struct strbuf why = {0};
        size_t other;

        ck_assert_msg(router_add(router, rows[i].pattern, GET, 1, 0, &other, &why) == -EINVAL,
                      "\"%s\" was taken", rows[i].pattern);
        ck_assert_contains(strbuf_cstr(&why), rows[i].reason);
        strbuf_free(&why);
        add(router, "/good/{x}", GET, 3);
        ck_assert_int_eq(find(router, "/good/1", GET), 3);
        router_free(router);
    }
}
END_TEST

START_TEST(dots_within_a_segment_are_good)
{
    static const char *const patterns[] = {"/.well-known/x", "/a.b", "/...",     "/..a",
                                           "/a..",           "/%41", "/\xc3\xa4"};
    struct router *router = router_new();

    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        add(router, patterns[i], GET, i);
        ck_assert_int_eq(find(router, patterns[i], GET), (long)i);
    }
    router_free(router);
}
END_TEST

/* "/" and `before`, `count` times, then `end`. */
static char *repeat(const char *format, int count, const char *end)
{
    struct strbuf text = {0};

    for (int i = 0; i < count; i++) {
        strbuf_addc(&text, '/');
        for (const char *p = format; *p; p++)
            if (*p == '#')
                strbuf_addf(&text, "%d", i);
            else
                strbuf_addc(&text, *p);
    }
    strbuf_adds(&text, end);
    return strbuf_take(&text);
}

START_TEST(counts_are_bounded)
{
    struct router *router = router_new();
    char *good = repeat("{n#}", ROUTER_MAX_PARAMS, "");
    char *bad = repeat("{n#}", ROUTER_MAX_PARAMS + 1, "");
    char *deep = repeat("s", ROUTER_MAX_SEGMENTS, "");
    char *too_deep = repeat("s", ROUTER_MAX_SEGMENTS + 1, "");
    char *path = repeat("v#", ROUTER_MAX_PARAMS, "");
    struct route_match match;
    size_t other;

    add(router, good, GET, 0);
    ck_assert_int_eq(add_to(router, bad, GET, 1, 1, &other), -EINVAL);
    ck_assert_int_eq(find_on(router, path, GET, 0, &match), 0);
    ck_assert_uint_eq(match.n_params, ROUTER_MAX_PARAMS);
    check_param(&match, ROUTER_MAX_PARAMS - 1, "n15", "v15");
    add(router, deep, GET, 2);
    ck_assert_int_eq(find(router, deep, GET), 2);
    ck_assert_int_eq(add_to(router, too_deep, GET, 1, 3, &other), -EINVAL);
    ck_assert_int_eq(find(router, too_deep, GET), -ENOENT);
    free(good);
    free(bad);
    free(deep);
    free(too_deep);
    free(path);
    router_free(router);
}
END_TEST

/* What a prefix leaves over needs a place among the parameters, too. */
START_TEST(rest_is_there_however_many_names_come_before)
{
    struct router *router = router_new();
    char *pattern = repeat("{n#}", ROUTER_MAX_PARAMS, "/*");
    char *path = repeat("v#", ROUTER_MAX_PARAMS, "/left/over");
    struct route_match match;
    size_t other;
    int r = add_to(router, pattern, GET, 1, 0, &other);

    ck_assert(r == 0 || r == -EINVAL);
    if (!r) {
        ck_assert_int_eq(find_on(router, path, GET, 0, &match), 0);
        check_param(&match, match.n_params - 1, "rest", "left/over");
    }
    free(pattern);
    free(path);
    router_free(router);
}
END_TEST

START_TEST(many_literals_are_all_found)
{
    enum { LITERALS = 2000 };
    struct router *router = router_new();
    char path[32];

    for (unsigned i = 0; i < LITERALS; i++) {
        snprintf(path, sizeof path, "/%u", i * 7919 % LITERALS);
        add(router, path, GET, i * 7919 % LITERALS);
    }
    for (unsigned i = 0; i < LITERALS; i++) {
        snprintf(path, sizeof path, "/%u", i);
        ck_assert_int_eq(find(router, path, GET), (long)i);
    }
    ck_assert_int_eq(find(router, "/2000", GET), -ENOENT);
    router_free(router);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        exact_paths,
        an_empty_router_finds_nothing,
        named_segments,
        prefixes,
        the_most_specific_wins_whatever_the_order,
        a_branch_that_leads_to_nothing_is_left_again,
        a_pattern_without_the_method_gives_way,
        head_takes_a_get_route_unless_one_names_head,
        options_is_allowed_everywhere_and_found_where_named,
        listeners_see_their_own_routes,
        the_same_requests_twice_are_a_conflict,
        bad_patterns_are_refused_with_a_reason,
        dots_within_a_segment_are_good,
        counts_are_bounded,
        rest_is_there_however_many_names_come_before,
        many_literals_are_all_found,
    };

    return support_run("router", tests, COUNT_OF(tests));
}
