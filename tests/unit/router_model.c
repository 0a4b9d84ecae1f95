#include "router_model.h"

#include "http_method.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct segment {
    const char *text;
    size_t len;
    bool last;
};

enum kind { LITERAL, NAMED, PREFIX }; /* better ones first */

static void differ(const char *what, const char *text, size_t len, long found, long expected)
    __attribute__((noreturn));

static void differ(const char *what, const char *text, size_t len, long found, long expected)
{
    fprintf(stderr, "router_model: %s \"%.*s\": %ld instead of %ld\n", what, (int)len, text, found,
            expected);
    abort();
}

/* The segment behind the slash at `*at`, which moves on to the next slash.  False: none is left. */
static bool next_segment(const char **at, const char *end, struct segment *out)
{
    const char *slash;

    if (*at == end)
        return false;
    out->text = *at + 1;
    slash = memchr(out->text, '/', (size_t)(end - out->text));
    *at = slash ? slash : end;
    out->len = (size_t)(*at - out->text);
    out->last = !slash;
    return true;
}

static bool same(const struct segment *a, const struct segment *b)
{
    return a->len == b->len && !memcmp(a->text, b->text, a->len);
}

static bool is(const struct segment *segment, const char *text)
{
    return segment->len == strlen(text) && !memcmp(segment->text, text, segment->len);
}

static enum kind kind_of(const struct segment *segment)
{
    if (segment->last && is(segment, "*"))
        return PREFIX;
    return segment->len && *segment->text == '{' ? NAMED : LITERAL;
}

/* ---- patterns -------------------------------------------------------------------------------- */

static bool segment_valid(const struct segment *segment)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *text = segment->text;
    size_t len = segment->len;
    enum kind kind = kind_of(segment);

    if (kind == NAMED)
        return len >= 3 && len <= 66 && text[len - 1] == '}' && strspn(text + 1, word) == len - 2;
    if (is(segment, ".") || is(segment, "..") || (!len && !segment->last))
        return false;
    for (size_t i = 0; i < len && kind == LITERAL; i++)
        if ((unsigned char)text[i] <= ' ' || strchr("{}*?#\x7f", text[i]))
            return false;
    return true;
}

static bool valid(const char *pattern)
{
    const char *at = pattern, *end = pattern + strlen(pattern);
    struct segment segment, names[ROUTER_MAX_PARAMS];
    size_t n_segments = 0, n_names = 0;

    if (*pattern != '/')
        return false;
    while (next_segment(&at, end, &segment)) {
        if (++n_segments > ROUTER_MAX_SEGMENTS || !segment_valid(&segment))
            return false;
        if (kind_of(&segment) != NAMED)
            continue;
        for (size_t i = 0; i < n_names; i++)
            if (same(&names[i], &segment))
                return false;
        if (n_names == ROUTER_MAX_PARAMS)
            return false;
        names[n_names++] = segment;
    }
    return true;
}

static bool same_shape(const char *a, const char *b)
{
    const char *a_end = a + strlen(a), *b_end = b + strlen(b);
    struct segment x, y;

    while (next_segment(&a, a_end, &x)) {
        if (!next_segment(&b, b_end, &y) || kind_of(&x) != kind_of(&y))
            return false;
        if (kind_of(&x) == LITERAL && !same(&x, &y))
            return false;
    }
    return b == b_end;
}

static bool conflict(const struct model_route *a, const struct model_route *b)
{
    return (a->methods & b->methods) && (a->listeners & b->listeners) &&
           same_shape(a->pattern, b->pattern);
}

/* ---- look-up --------------------------------------------------------------------------------- */

static bool matches(const char *pattern, const char *path, const char *path_end)
{
    const char *pattern_end = pattern + strlen(pattern);
    struct segment wanted, found;

    while (next_segment(&pattern, pattern_end, &wanted)) {
        if (!next_segment(&path, path_end, &found))
            return false;
        if (kind_of(&wanted) == PREFIX)
            return true;
        if (kind_of(&wanted) == NAMED ? !found.len : !same(&wanted, &found))
            return false;
    }
    return path == path_end;
}

/* Of two patterns that match the same path: negative when a is more specific, 0 when they match the
 * same paths.  A pattern can be longer than another only behind the other's prefix. */
static int compare(const char *a, const char *b)
{
    const char *a_end = a + strlen(a), *b_end = b + strlen(b);
    struct segment x, y;

    while (next_segment(&a, a_end, &x) && next_segment(&b, b_end, &y))
        if (kind_of(&x) != kind_of(&y))
            return (int)kind_of(&x) - (int)kind_of(&y);
    return 0;
}

/* Whether `a` is to answer rather than `b`. */
static bool better(const struct model_route *a, const struct model_route *b, unsigned method)
{
    int order = compare(a->pattern, b->pattern);

    return order < 0 || (order == 0 && (a->methods & method) && !(b->methods & method));
}

static long model_find(const struct router_model *model, const char *path, size_t len,
                       unsigned method, unsigned listener, unsigned *allowed)
{
    const struct model_route *best = NULL;
    /* HEAD contents itself with GET. */
    unsigned taken = method == METHOD_BIT(METHOD_HEAD) ? method | METHOD_BIT(METHOD_GET) : method;

    *allowed = 0;
    for (size_t i = 0; i < model->count && len && *path == '/'; i++) {
        const struct model_route *route = &model->routes[i];

        if (!(route->listeners >> listener & 1) || !matches(route->pattern, path, path + len))
            continue;
        *allowed |= http_method_answered(route->methods);
        if ((route->methods & taken) && (!best || better(route, best, method)))
            best = route;
    }
    if (best)
        return best - model->routes;
    return *allowed ? -EACCES : -ENOENT;
}

static void check_params(const struct model_route *route, const struct route_match *match,
                         const char *path, const char *path_end)
{
    const char *pattern = route->pattern, *pattern_end = pattern + strlen(pattern);
    struct segment wanted, found;
    size_t n = 0;

    while (next_segment(&pattern, pattern_end, &wanted) && next_segment(&path, path_end, &found)) {
        const struct route_param *param = &match->params[n];
        bool prefix = kind_of(&wanted) == PREFIX;
        size_t len = prefix ? (size_t)(path_end - found.text) : found.len;

        if (kind_of(&wanted) == LITERAL)
            continue;
        if (n == match->n_params || param->value != found.text || param->len != len ||
            (prefix ? strcmp(param->name, "rest") != 0
                    : strlen(param->name) != wanted.len - 2 ||
                          memcmp(param->name, wanted.text + 1, wanted.len - 2) != 0))
            differ("parameter of", route->pattern, strlen(route->pattern), (long)n, (long)n);
        n++;
    }
    if (n != match->n_params)
        differ("parameters of", route->pattern, strlen(route->pattern), (long)match->n_params,
               (long)n);
}

/* ---- both ------------------------------------------------------------------------------------ */

void router_model_init(struct router_model *model)
{
    *model = (struct router_model){.router = router_new()};
    if (!model->router)
        abort();
}

void router_model_free(struct router_model *model)
{
    for (size_t i = 0; i < model->count; i++)
        free(model->routes[i].pattern);
    free(model->routes);
    router_free(model->router);
}

int router_model_add(struct router_model *model, const char *pattern, unsigned methods,
                     uint64_t listeners)
{
    struct model_route route = {strdup(pattern), methods, listeners};
    size_t other = SIZE_MAX, len = strlen(pattern);
    struct strbuf why = {0};
    int r, expected = valid(pattern) ? 0 : -EINVAL;

    for (size_t i = 0; i < model->count && !expected; i++)
        expected = conflict(&model->routes[i], &route) ? -EEXIST : 0;
    r = router_add(model->router, pattern, methods, listeners, model->count, &other, &why);
    if (r != expected || (r == -EINVAL) != (why.len > 0))
        differ("adding", pattern, len, r, expected);
    if (r == -EEXIST && (other >= model->count || !conflict(&model->routes[other], &route)))
        differ("conflict of", pattern, len, (long)other, r);
    strbuf_free(&why);
    if (r) {
        free(route.pattern);
        return r;
    }
    model->routes = realloc(model->routes, (model->count + 1) * sizeof route);
    if (!model->routes)
        abort();
    model->routes[model->count++] = route;
    return 0;
}

long router_model_find(const struct router_model *model, const char *path, size_t len,
                       unsigned method, unsigned listener)
{
    struct route_match match;
    unsigned allowed;
    long expected = model_find(model, path, len, method, listener, &allowed), found;
    int r = router_find(model->router, path, len, method, listener, &match);

    found = r ? r : (long)match.route;
    if (found != expected)
        differ("looking up", path, len, found, expected);
    if (!r)
        check_params(&model->routes[found], &match, path, path + len);
    else if (match.allowed != allowed)
        differ("methods of", path, len, (long)match.allowed, (long)allowed);
    return found;
}
