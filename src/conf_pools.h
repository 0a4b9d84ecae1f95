/* conf_pools.h - for conf.c: completes and checks the pools of a configuration. */
#ifndef HANDOFFD_CONF_POOLS_H
#define HANDOFFD_CONF_POOLS_H

#include "conf.h"
#include "conf_places.h"

/* The pool "default" exists even when it is not written.  0 or -ENOMEM. */
int conf_pools_add_default(struct conf *conf) WARN_UNUSED;

/* What the rows cannot tell is wrong with the pools that were written. */
void conf_pools_check(const struct conf *conf, const struct conf_places *places,
                      struct conf_faults *faults);

/* Gives a route its key, and a pool of its own where it asks for one.  Before any route is completed:
 * actions may speak of other routes' pools.  0 or -ENOMEM. */
int conf_pools_identify(struct conf *conf, struct conf_route *route,
                        const struct conf_check *check) WARN_UNUSED;

/* What a route of a pool does not say itself, its pool says. */
void conf_pools_inherit(const struct conf *conf, struct conf_route *route);

#endif
