/* router.h - from a request's path, method and listener to a route.
 *
 * Patterns: "/exact", "/prefix/" followed by "*" (everything below "/prefix/"), and named segments
 * as in "/jobs/{id}/log" (one segment, not empty).  The most specific pattern wins: segment by
 * segment from the left, a literal beats a named segment beats a prefix.  A pattern that does not
 * take the method gives way to the next.
 *
 * Built on one thread; router_find may then be called from any. */
#ifndef HANDOFFD_ROUTER_H
#define HANDOFFD_ROUTER_H

#include "parse_num.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUTER_MAX_PARAMS = 16, ROUTER_MAX_SEGMENTS = 64 };

struct router;

struct router *router_new(void); /* NULL: out of memory */
void router_free(struct router *router);

/* Adds a route under the caller's number.  0; -EINVAL with the reason in `why` (a bad pattern);
 * -EEXIST with the number of the route that matches the same requests in `*other`; -ENOMEM. */
int router_add(struct router *router, const char *pattern, unsigned methods, uint64_t listeners,
               size_t route, size_t *other, struct strbuf *why) WARN_UNUSED;

/* Whether a path of that pattern has a named segment (or, as "rest", what a prefix leaves over). */
bool router_pattern_has_name(const char *pattern, const char *name);

struct route_param {
    const char *name;  /* belongs to the router; "rest" for what a prefix left over */
    const char *value; /* within the path that was looked up; not NUL-terminated */
    size_t len;
};

struct route_match {
    size_t route;     /* valid when router_find returned 0 */
    unsigned allowed; /* methods of every route that matches the path */
    struct route_param params[ROUTER_MAX_PARAMS + 1]; /* names, and the rest */
    size_t n_params;
};

/* Looks up a decoded, normalised path of `len` bytes.  `method` is one METHOD_BIT.
 * 0: found; -ENOENT: no route has that path; -EACCES: there are, for other methods (`allowed`). */
int router_find(const struct router *router, const char *path, size_t len, unsigned method,
                unsigned listener, struct route_match *match);

#endif
