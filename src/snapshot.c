#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

static void free_arrays(struct snapshot *snapshot)
{
    free(snapshot->pools);
    free(snapshot->lanes);
    free(snapshot->bound);
    free(snapshot->route_meters);
    free(snapshot->pool_meters);
    free(snapshot->listener_meters);
}

/* False: out of memory. */
static bool find_meters(struct snapshot *snapshot, const struct conf *conf)
{
    struct meters *meters = &snapshot->vitals->meters;
    bool all = (snapshot->no_route_meter = meter_get(&meters->routes, "")) != NULL;

    for (size_t i = 0; all && i < conf->n_routes; i++)
        all = (snapshot->route_meters[i] = meter_get(&meters->routes, conf->routes[i].path));
    for (size_t i = 0; all && i < conf->n_pools; i++)
        all = (snapshot->pool_meters[i] = meter_get(&meters->pools, conf->pools[i].name));
    for (size_t i = 0; all && i < conf->n_listeners; i++)
        all =
            (snapshot->listener_meters[i] = meter_get(&meters->listeners, conf->listeners[i].name));
    return all;
}

struct snapshot *snapshot_new(struct conf *conf, struct vitals *vitals)
{
    struct snapshot *snapshot = aligned_alloc(_Alignof(struct snapshot), sizeof *snapshot);

    if (!snapshot)
        return NULL;
    memset(snapshot, 0, sizeof *snapshot);
    atomic_init(&snapshot->refs, 1);
    snapshot->vitals = vitals;
    snapshot->loaded_at = time(NULL);
    snapshot->pools = calloc(conf->n_pools + 1, sizeof(struct pool *));
    snapshot->bound = calloc(conf->n_listeners + 1, sizeof(char *));
    snapshot->lanes = calloc(conf->n_routes + 1, sizeof(struct lane *));
    snapshot->route_meters = calloc(conf->n_routes + 1, sizeof(struct meter *));
    snapshot->pool_meters = calloc(conf->n_pools + 1, sizeof(struct meter *));
    snapshot->listener_meters = calloc(conf->n_listeners + 1, sizeof(struct meter *));
    if (!snapshot->pools || !snapshot->lanes || !snapshot->bound || !snapshot->route_meters ||
        !snapshot->pool_meters || !snapshot->listener_meters || !find_meters(snapshot, conf)) {
        free_arrays(snapshot);
        free(snapshot);
        return NULL;
    }
    snapshot->conf = conf;
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < snapshot->conf->n_routes; i++)
        lane_unref(snapshot->lanes[i]);
    for (size_t i = 0; i < snapshot->conf->n_pools; i++)
        pool_unref(snapshot->pools[i]);
    for (size_t i = 0; i < snapshot->conf->n_listeners; i++)
        free(snapshot->bound[i]);
    free_arrays(snapshot);
    conf_free(snapshot->conf);
    free(snapshot);
}

struct snapshot *snapshot_use(struct snapshot *snapshot, unsigned loop)
{
    if (!snapshot->uses[loop].count++)
        snapshot_ref(snapshot);
    return snapshot;
}

void snapshot_done(struct snapshot *snapshot, unsigned loop)
{
    if (snapshot && !--snapshot->uses[loop].count)
        snapshot_unref(snapshot);
}
