#include "conf_pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Adds a pool with the defaults at place `at`; takes `name` over.  NULL: out of memory. */
static struct conf_pool *add_pool(struct conf *conf, size_t at, char *name)
{
    struct conf_pool *pools = NULL;

    if (name)
        pools = reallocarray(conf->pools, conf->n_pools + 1, sizeof *pools);
    if (!pools) {
        free(name);
        return NULL;
    }
    conf->pools = pools;
    memmove(pools + at + 1, pools + at, (conf->n_pools - at) * sizeof *pools);
    conf->n_pools++;
    pools[at] = (struct conf_pool){.name = name};
    return option_set_defaults(conf_pool_options, &pools[at]) ? NULL : &pools[at];
}

int conf_pools_add_default(struct conf *conf)
{
    if (conf_find_pool(conf, "default") >= 0)
        return 0;
    return add_pool(conf, 0, strdup("default")) ? 0 : -ENOMEM;
}

static void check_pool(const struct conf_pool *pool, const struct conf_places *places,
                       struct conf_faults *faults)
{
    if (!strcmp(pool->name, CONF_DEDICATED))
        conf_faults_add(faults, conf_places_section(places, "pools", pool->name, NULL),
                        "pools.%s: found a pool of that name; allowed: any other, with a route it "
                        "stands for a thread made for each request",
                        pool->name);
    if (pool->idle_timeout && pool->spawn != CONF_SPAWN_ON_DEMAND)
        conf_faults_add(
            faults, conf_places_section(places, "pools", pool->name, "idle_timeout"),
            "pools.%s.idle_timeout: found with spawn = \"eager\"; allowed: only with spawn = "
            "\"on-demand\"",
            pool->name);
}

void conf_pools_check(const struct conf *conf, const struct conf_places *places,
                      struct conf_faults *faults)
{
    for (size_t i = 0; i < conf->n_pools; i++)
        check_pool(&conf->pools[i], places, faults);
}

/* Whether its methods are those that its action has anyway. */
static bool has_usual_methods(const struct conf_route *route)
{
    const char *const *usual = route->action ? route->action->methods : NULL;
    size_t i = 0;

    while (usual && usual[i] && i < route->methods.count &&
           !strcmp(usual[i], route->methods.items[i]))
        i++;
    return usual && !usual[i] && i == route->methods.count;
}

/* What makes a route this one: where it is, and for which methods and listeners. */
static char *route_key(const struct conf_route *route)
{
    struct strbuf key = {0};

    strbuf_adds(&key, route->path ? route->path : "");
    for (size_t i = 0; i < route->methods.count && !has_usual_methods(route); i++)
        strbuf_addf(&key, "%c%s", i ? ',' : ' ', route->methods.items[i]);
    for (size_t i = 0; i < route->listener.count; i++)
        strbuf_addf(&key, "%s%s", i ? "," : " @", route->listener.items[i]);
    return strbuf_take(&key);
}

static bool wants_dedicated(const struct conf_route *route)
{
    return route->action && route->action->blocking && route->pool &&
           !strcmp(route->pool, CONF_DEDICATED);
}

/* The pool of a route whose requests get a thread each. */
static int add_dedicated_pool(struct conf *conf, struct conf_route *route,
                              const struct conf_check *check)
{
    struct strbuf name = {0};
    struct conf_pool *pool;

    if (!route->concurrency)
        conf_check_fault(check, "pool",
                         "found \"" CONF_DEDICATED "\" without \"concurrency\"; allowed: with a "
                         "concurrency of 1 to 4096, which bounds the threads");
    strbuf_addf(&name, CONF_DEDICATED ":%s", route->key);
    pool = add_pool(conf, conf->n_pools, strbuf_take(&name));
    if (!pool)
        return -ENOMEM;
    pool->threads = route->concurrency ? route->concurrency : 1;
    pool->spawn = CONF_SPAWN_ON_DEMAND;
    pool->dedicated = true;
    route->pool_index = (int)conf->n_pools - 1;
    route->pool_name = pool->name;
    return 0;
}

int conf_pools_identify(struct conf *conf, struct conf_route *route, const struct conf_check *check)
{
    route->key = route_key(route);
    if (!route->key)
        return -ENOMEM;
    return wants_dedicated(route) ? add_dedicated_pool(conf, route, check) : 0;
}

void conf_pools_inherit(const struct conf *conf, struct conf_route *route)
{
    const struct conf_pool *pool;

    if (route->pool_index < 0)
        return;
    pool = &conf->pools[route->pool_index];
    if (route->max_queue == OPTION_WORD)
        route->max_queue = pool->queue_depth;
    if (route->queue_timeout == OPTION_WORD)
        route->queue_timeout = pool->queue_timeout;
}
