/* The router against a matcher that is as simple as can be: it tries every route, segment by
 * segment, and takes the best. */
#include "http_method.h"
#include "router.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROUTES = 14, MAX_PARTS = 6, LISTENERS = 3, ROUTERS = 400, LOOKUPS = 150 };

enum kind { LITERAL, NAMED, PREFIX }; /* better ones first */

struct parts {
    char text[64];
    const char *items[MAX_PARTS];
    size_t lens[MAX_PARTS];
    size_t count;
};

struct model_route {
    struct parts pattern;
    unsigned methods;
    uint64_t listeners;
    bool added;
};

static struct model_route model[ROUTES];

static void split(struct parts *parts)
{
    const char *p = parts->text;

    for (parts->count = 0; *p == '/'; parts->count++) {
        parts->items[parts->count] = p + 1;
        parts->lens[parts->count] = strcspn(p + 1, "/");
        p += 1 + parts->lens[parts->count];
    }
}

static void random_parts(struct support_random *random, struct parts *parts,
                         const char *const *words, size_t n_words)
{
    uint32_t count = 1 + support_random_below(random, 4);
    char *at = parts->text;

    for (uint32_t i = 0; i < count; i++) {
        const char *word = words[support_random_below(random, (uint32_t)n_words)];

        /* An empty segment or a * can only be the last one. */
        if (i + 1 < count && (!*word || *word == '*'))
            word = "a";
        at += *word == '{' ? sprintf(at, "/{%c%u}", word[1], i) : sprintf(at, "/%s", word);
    }
    split(parts);
}

static enum kind kind_of(const struct parts *pattern, size_t i)
{
    const char *item = pattern->items[i];

    return *item == '{' ? NAMED : *item == '*' && i + 1 == pattern->count ? PREFIX : LITERAL;
}

static bool same_segment(const struct parts *a, const struct parts *b, size_t i)
{
    return a->lens[i] == b->lens[i] && !memcmp(a->items[i], b->items[i], a->lens[i]);
}

static bool matches(const struct parts *pattern, const struct parts *path)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (i >= path->count)
            return false;
        if (kind_of(pattern, i) == PREFIX)
            return true;
        if (kind_of(pattern, i) == NAMED ? !path->lens[i] : !same_segment(pattern, path, i))
            return false;
    }
    return pattern->count == path->count;
}

/* Of two patterns that match the same path: negative when a is more specific, 0 when they match the
 * same paths. */
static int compare(const struct parts *a, const struct parts *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (kind_of(a, i) != kind_of(b, i))
            return (int)kind_of(a, i) - (int)kind_of(b, i);
    return (int)b->count - (int)a->count;
}

static bool same_shape(const struct parts *a, const struct parts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (kind_of(a, i) != kind_of(b, i) || (kind_of(a, i) == LITERAL && !same_segment(a, b, i)))
            return false;
    return true;
}

static bool conflicts(const struct model_route *a, const struct model_route *b)
{
    return a->added && same_shape(&a->pattern, &b->pattern) && (a->methods & b->methods) &&
           (a->listeners & b->listeners);
}

static void add_route(struct router *router, size_t n)
{
    struct model_route *route = &model[n];
    struct strbuf why = {0};
    size_t other = ROUTES;
    bool conflict = false;
    int r;

    route->added = false;
    for (size_t i = 0; i < n; i++)
        conflict |= conflicts(&model[i], route);
    r = router_add(router, route->pattern.text, route->methods, route->listeners, n, &other, &why);
    ck_assert_msg(r == (conflict ? -EEXIST : 0), "%s: %d %s", route->pattern.text, r,
                  strbuf_cstr(&why));
    if (conflict)
        ck_assert_msg(other < n && conflicts(&model[other], route), "%s: not with %zu",
                      route->pattern.text, other);
    route->added = !r;
    strbuf_free(&why);
}

/* The route that answers, or -ENOENT or -EACCES. */
static long model_find(const struct parts *path, unsigned method, unsigned listener,
                       unsigned *allowed)
{
    const unsigned get = METHOD_BIT(METHOD_GET);
    bool head = method == METHOD_BIT(METHOD_HEAD), best_explicit = false;
    long best = -ENOENT;

    *allowed = 0;
    for (long i = 0; i < ROUTES; i++) {
        const struct model_route *route = &model[i];
        bool explicit = route->methods & method;
        int order;

        if (!route->added || !(route->listeners >> listener & 1) || !matches(&route->pattern, path))
            continue;
        *allowed |= http_method_answered(route->methods);
        if (!explicit && !(head && (route->methods & get)))
            continue;
        order = best < 0 ? -1 : compare(&route->pattern, &model[best].pattern);
        if (order < 0 || (order == 0 && explicit && !best_explicit)) {
            best = i;
            best_explicit = explicit;
        }
    }
    return best < 0 && *allowed ? -EACCES : best;
}

static void check_params(const struct route_match *match, const struct parts *path)
{
    const struct parts *pattern = &model[match->route].pattern;
    const char *end = path->text + strlen(path->text);
    size_t n = 0;

    for (size_t i = 0; i < pattern->count; i++) {
        const struct route_param *param = &match->params[n];
        enum kind kind = kind_of(pattern, i);

        if (kind == LITERAL)
            continue;
        ck_assert_uint_lt(n++, match->n_params);
        ck_assert_ptr_eq(param->value, path->items[i]);
        if (kind == NAMED) {
            ck_assert_uint_eq(strlen(param->name), pattern->lens[i] - 2);
            ck_assert_mem_eq(param->name, pattern->items[i] + 1, pattern->lens[i] - 2);
            ck_assert_uint_eq(param->len, path->lens[i]);
        } else {
            ck_assert_str_eq(param->name, "rest");
            ck_assert_ptr_eq(param->value + param->len, end);
        }
    }
    ck_assert_uint_eq(n, match->n_params);
}

static void look_up(const struct router *router, struct support_random *random)
{
    static const char *const words[] = {"a", "b", "c", "ab", ""};
    unsigned method = METHOD_BIT(support_random_below(random, METHOD_COUNT));
    unsigned listener = support_random_below(random, LISTENERS), allowed;
    struct route_match match;
    struct parts path;
    long expected, found;
    int r;

    random_parts(random, &path, words, COUNT_OF(words));
    expected = model_find(&path, method, listener, &allowed);
    r = router_find(router, path.text, strlen(path.text), method, listener, &match);
    found = r ? r : (long)match.route;
    ck_assert_msg(found == expected, "%s by method %x on listener %u: %ld instead of %ld",
                  path.text, method, listener, found, expected);
    if (!r)
        check_params(&match, &path);
    else
        ck_assert_uint_eq(match.allowed, allowed);
}

START_TEST(the_router_agrees_with_the_simple_matcher)
{
    static const char *const words[] = {"a", "b", "ab", "{x}", "{y}", "*", ""};
    struct support_random random = support_random_new("router");

    for (int n = 0; n < ROUTERS; n++) {
        struct router *router = router_new();

        for (size_t i = 0; i < ROUTES; i++) {
            random_parts(&random, &model[i].pattern, words, COUNT_OF(words));
            model[i].methods = 1 + support_random_below(&random, METHOD_ALL);
            if (support_random_below(&random, 2))
                model[i].methods = METHOD_BIT(support_random_below(&random, METHOD_COUNT));
            model[i].listeners = 1 + support_random_below(&random, (1 << LISTENERS) - 1);
            add_route(router, i);
        }
        for (int i = 0; i < LOOKUPS; i++)
            look_up(router, &random);
        router_free(router);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_router_agrees_with_the_simple_matcher};

    return support_run("router_property", tests, COUNT_OF(tests));
}
