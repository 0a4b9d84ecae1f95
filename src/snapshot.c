#include "snapshot.h"

#include <stdlib.h>

struct snapshot *snapshot_new(struct conf *conf, struct vitals *vitals)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot)
        return NULL;
    atomic_init(&snapshot->refs, 1);
    snapshot->vitals = vitals;
    snapshot->loaded_at = time(NULL);
    snapshot->pools = calloc(conf->n_pools + 1, sizeof(struct pool *));
    snapshot->bound = calloc(conf->n_listeners + 1, sizeof(char *));
    if (!snapshot->pools || !snapshot->bound) {
        free(snapshot->pools);
        free(snapshot->bound);
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
    for (size_t i = 0; i < snapshot->conf->n_pools; i++)
        pool_unref(snapshot->pools[i]);
    for (size_t i = 0; i < snapshot->conf->n_listeners; i++)
        free(snapshot->bound[i]);
    free(snapshot->pools);
    free(snapshot->bound);
    conf_free(snapshot->conf);
    free(snapshot);
}
