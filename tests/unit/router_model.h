/* router_model.h - a router beside a matcher that is as simple as can be: it tries every route,
 * segment by segment, and takes the best.  Whatever is done is done by both, and where they differ
 * the program aborts and tells what was asked. */
#ifndef HANDOFFD_TEST_ROUTER_MODEL_H
#define HANDOFFD_TEST_ROUTER_MODEL_H

#include "router.h"

#include <stddef.h>
#include <stdint.h>

struct model_route {
    char *pattern;
    unsigned methods;
    uint64_t listeners;
};

struct router_model {
    struct router *router;
    struct model_route *routes;
    size_t count;
};

void router_model_init(struct router_model *model);
void router_model_free(struct router_model *model);

/* As router_add, which it returns the result of; the number of the route is their count before. */
int router_model_add(struct router_model *model, const char *pattern, unsigned methods,
                     uint64_t listeners);

/* As router_find: the number of the route, or -ENOENT or -EACCES. */
long router_model_find(const struct router_model *model, const char *path, size_t len,
                       unsigned method, unsigned listener);

#endif
