/* DESIGN
 *
 * A tree with one level per path segment.  A node has literal children (sorted, found by binary
 * search), at most one child for a named segment, and two lists of leaves: routes that end here and
 * prefix routes that take all that lies below.  A look-up walks literal child, named child and
 * prefix leaves in that order, which is the order of specificity, and comes back where a branch
 * leads to nothing; it visits each node once at most.
 *
 * HEAD and OPTIONS are resolved here: HEAD takes a GET route unless a route names HEAD itself. */
#include "router.h"

#include "http_method.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct leaf {
    struct leaf *next;
    size_t route;
    unsigned methods;
    uint64_t listeners;
    size_t n_names;
    char *names[ROUTER_MAX_PARAMS];
};

struct node {
    char *segment; /* literal children only */
    size_t segment_len;
    struct node **children; /* sorted by segment */
    size_t n_children;
    struct node *named;
    struct leaf *exact;
    struct leaf *prefix;
};

struct router {
    struct node root;
};

struct router *router_new(void)
{
    return calloc(1, sizeof(struct router));
}

static void free_leaves(struct leaf *leaf)
{
    while (leaf) {
        struct leaf *next = leaf->next;

        for (size_t i = 0; i < leaf->n_names; i++)
            free(leaf->names[i]);
        free(leaf);
        leaf = next;
    }
}

static void clear_node(struct node *node)
{
    for (size_t i = 0; i < node->n_children; i++) {
        clear_node(node->children[i]);
        free(node->children[i]);
    }
    if (node->named) {
        clear_node(node->named);
        free(node->named);
    }
    free_leaves(node->exact);
    free_leaves(node->prefix);
    free(node->children);
    free(node->segment);
}

void router_free(struct router *router)
{
    if (!router)
        return;
    clear_node(&router->root);
    free(router);
}

static int compare_segment(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

/* The place of a segment among the children; `*found` tells whether it is there. */
static size_t find_child(const struct node *node, const char *segment, size_t len, bool *found)
{
    size_t low = 0, high = node->n_children;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct node *child = node->children[mid];
        int c = compare_segment(segment, len, child->segment, child->segment_len);

        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static struct node *literal_child(struct node *node, const char *segment, size_t len)
{
    bool found;
    size_t at = find_child(node, segment, len, &found);
    struct node **children;
    struct node *child;

    if (found && node->children)
        return node->children[at];
    children = realloc(node->children, (node->n_children + 1) * sizeof *children);
    if (!children)
        return NULL;
    node->children = children;
    child = calloc(1, sizeof *child);
    if (!child)
        return NULL;
    child->segment = strndup(segment, len);
    if (!child->segment) {
        free(child);
        return NULL;
    }
    child->segment_len = len;
    memmove(children + at + 1, children + at, (node->n_children - at) * sizeof *children);
    children[at] = child;
    node->n_children++;
    return child;
}

static bool valid_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", name[i]))
            return false;
    return len > 0 && len <= 64;
}

/* Checks a "{name}" segment and puts its name into the leaf. */
static int add_name(struct leaf *leaf, const char *segment, size_t len, struct strbuf *why)
{
    const char *name = segment + 1;

    if (len < 3 || segment[len - 1] != '}' || !valid_name(name, len - 2)) {
        strbuf_addf(why, "bad named segment \"%.*s\"; allowed: {NAME} of letters, digits and _",
                    (int)len, segment);
        return -EINVAL;
    }
    for (size_t i = 0; i < leaf->n_names; i++)
        if (strlen(leaf->names[i]) == len - 2 && !memcmp(leaf->names[i], name, len - 2)) {
            strbuf_addf(why, "the name \"%s\" stands twice", leaf->names[i]);
            return -EINVAL;
        }
    if (leaf->n_names == ROUTER_MAX_PARAMS) {
        strbuf_addf(why, "more than %d named segments", ROUTER_MAX_PARAMS);
        return -EINVAL;
    }
    leaf->names[leaf->n_names] = strndup(name, len - 2);
    return leaf->names[leaf->n_names++] ? 0 : -ENOMEM;
}

/* One step down the tree for the next segment of a pattern. */
static int descend(struct node **node, struct leaf *leaf, const char *segment, size_t len,
                   struct strbuf *why)
{
    int r;

    if (len && segment[0] == '{') {
        r = add_name(leaf, segment, len, why);
        if (r)
            return r;
        if (!(*node)->named)
            (*node)->named = calloc(1, sizeof *(*node)->named);
        *node = (*node)->named;
    } else if (memchr(segment, '{', len) || memchr(segment, '}', len) ||
               memchr(segment, '*', len)) {
        strbuf_addf(why,
                    "bad segment \"%.*s\"; a name in braces takes a whole segment, and * may only "
                    "be the last one",
                    (int)len, segment);
        return -EINVAL;
    } else {
        *node = literal_child(*node, segment, len);
    }
    return *node ? 0 : -ENOMEM;
}

/* What would never match: requests are looked up by their normalised path. */
static int check_pattern(const char *pattern, struct strbuf *why)
{
    size_t segments = 0;

    if (pattern[0] != '/')
        strbuf_adds(why, "a path must begin with /");
    else if (strstr(pattern, "//"))
        strbuf_adds(why, "a path has no empty segments: requests are matched with // folded to /");
    else if (strpbrk(pattern, "?#"))
        strbuf_adds(why, "a path has no ? or #: the query is not part of it");
    for (const char *p = pattern; *p; p++) {
        segments += *p == '/';
        if ((unsigned char)*p <= 0x20 || *p == 0x7f) {
            strbuf_adds(why, why->len ? "" : "a path has no blanks or control characters");
            break;
        }
    }
    for (const char *p = strstr(pattern, "/."); p; p = strstr(p + 1, "/."))
        if (!why->len && (!p[2] || p[2] == '/' || (p[2] == '.' && (!p[3] || p[3] == '/'))))
            strbuf_adds(why, "a path has no . or .. segments: requests are matched without them");
    if (!why->len && segments > ROUTER_MAX_SEGMENTS)
        strbuf_addf(why, "more than %d segments", ROUTER_MAX_SEGMENTS);
    return why->len ? -EINVAL : 0;
}

int router_add(struct router *router, const char *pattern, unsigned methods, uint64_t listeners,
               size_t route, size_t *other, struct strbuf *why)
{
    struct node *node = &router->root;
    struct leaf *leaf, **list;
    const char *p = pattern;
    int r = check_pattern(pattern, why);

    if (r)
        return r;
    leaf = calloc(1, sizeof *leaf);
    if (!leaf)
        return -ENOMEM;
    *leaf = (struct leaf){.route = route, .methods = methods, .listeners = listeners};
    list = NULL;
    while (!r && !list) {
        const char *segment = p + 1;
        size_t len = strcspn(segment, "/");

        p = segment + len;
        if (len == 1 && *segment == '*' && !*p)
            list = &node->prefix;
        else {
            r = descend(&node, leaf, segment, len, why);
            if (!r && !*p)
                list = &node->exact;
        }
    }
    for (; !r && *list; list = &(*list)->next)
        if (((*list)->methods & methods) && ((*list)->listeners & listeners)) {
            *other = (*list)->route;
            r = -EEXIST;
        }
    if (r)
        free_leaves(leaf);
    else
        *list = leaf;
    return r;
}

bool router_pattern_has_name(const char *pattern, const char *name)
{
    size_t len = strlen(name), pattern_len = strlen(pattern);

    for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{'))
        if (!strncmp(p + 1, name, len) && p[1 + len] == '}')
            return true;
    return !strcmp(name, "rest") && pattern_len > 1 && !strcmp(pattern + pattern_len - 2, "/*");
}

/* ---- look-up --------------------------------------------------------------------------------- */

struct lookup {
    unsigned method;
    uint64_t listener;
    struct route_match *match;
    const char *values[ROUTER_MAX_PARAMS];
    size_t lens[ROUTER_MAX_PARAMS];
};

static bool take_leaf(struct lookup *lookup, const struct leaf *leaf, size_t depth,
                      const char *rest, size_t rest_len)
{
    struct route_match *match = lookup->match;

    match->route = leaf->route;
    match->n_params = 0;
    for (size_t i = 0; i < leaf->n_names && i < depth; i++)
        match->params[match->n_params++] = (struct route_param){
            .name = leaf->names[i], .value = lookup->values[i], .len = lookup->lens[i]};
    if (rest)
        match->params[match->n_params++] =
            (struct route_param){.name = "rest", .value = rest, .len = rest_len};
    return true;
}

/* Looks for a leaf that takes the method; HEAD contents itself with GET. */
static bool try_leaves(struct lookup *lookup, const struct leaf *leaves, size_t depth,
                       const char *rest, size_t rest_len)
{
    const struct leaf *second = NULL;

    for (const struct leaf *leaf = leaves; leaf; leaf = leaf->next) {
        if (!(leaf->listeners & lookup->listener))
            continue;
        lookup->match->allowed |= http_method_answered(leaf->methods);
        if (leaf->methods & lookup->method)
            return take_leaf(lookup, leaf, depth, rest, rest_len);
        if (lookup->method == METHOD_BIT(METHOD_HEAD) && (leaf->methods & METHOD_BIT(METHOD_GET)))
            second = leaf;
    }
    return second && take_leaf(lookup, second, depth, rest, rest_len);
}

/* `p` is behind the slash that opens the segment to match below `node`. */
static bool walk(struct lookup *lookup, const struct node *node, const char *p, const char *end,
                 size_t depth)
{
    const char *slash = memchr(p, '/', (size_t)(end - p));
    size_t len = (size_t)((slash ? slash : end) - p);
    bool found;
    size_t at = find_child(node, p, len, &found);

    for (int kind = 0; kind < 2; kind++) {
        const struct node *child = kind ? node->named : found ? node->children[at] : NULL;

        if (!child || (kind && (!len || depth == ROUTER_MAX_PARAMS)))
            continue;
        if (kind) {
            lookup->values[depth] = p;
            lookup->lens[depth] = len;
        }
        if (slash ? walk(lookup, child, slash + 1, end, depth + (size_t)kind)
                  : try_leaves(lookup, child->exact, depth + (size_t)kind, NULL, 0))
            return true;
    }
    return try_leaves(lookup, node->prefix, depth, p, (size_t)(end - p));
}

int router_find(const struct router *router, const char *path, size_t len, unsigned method,
                unsigned listener, struct route_match *match)
{
    struct lookup lookup = {.method = method, .listener = UINT64_C(1) << listener, .match = match};

    match->allowed = 0;
    match->n_params = 0;
    if (len && path[0] == '/' && walk(&lookup, &router->root, path + 1, path + len, 0))
        return 0;
    return match->allowed ? -EACCES : -ENOENT;
}
