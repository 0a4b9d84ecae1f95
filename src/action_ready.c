/* ready: whether this process should be sent requests, for a load balancer.
 *
 * A pool that is full refuses, and a queue whose oldest task has waited for long is not just a burst
 * that the queue is there to take: both together mean that requests are better sent elsewhere. */
#include "action.h"
#include "clock.h"
#include "snapshot.h"

#include <stdio.h>
#include <string.h>

struct settings {
    int64_t ready_grace; /* ns */
};

static const struct option_row options[] = {
    {"ready_grace", OPTION_DURATION, offsetof(struct settings, ready_grace), "5s", 0,
     3600 * NS_PER_SEC, NULL, 0, "seconds",
     "How long the oldest task of a full pool may have waited."},
    {0},
};

static const char text_plain[] = "text/plain; charset=utf-8";

static int respond_full(struct request *request, const char *pool, int64_t wait_ns)
{
    char *text;
    int len = asprintf(&text, "pool %s is full, and its oldest task has waited for %.1f s\n", pool,
                       (double)wait_ns / (double)NS_PER_SEC);

    return response_own(request, 503, text_plain, len < 0 ? NULL : text, len < 0 ? 0 : (size_t)len);
}

static int run(struct request *request, const void *settings)
{
    static const char ready[] = "ready\n", draining[] = "draining\n";
    const struct settings *s = settings;
    const struct snapshot *snapshot = request->snapshot;

    if (atomic_load(&snapshot->vitals->draining)) {
        response_static(request, 503, text_plain, draining, strlen(draining));
        return 0;
    }
    for (size_t i = 0; i < snapshot->conf->n_pools; i++) {
        struct pool_stats stats;

        pool_get_stats(snapshot->pools[i], &stats);
        if (stats.books.queued > stats.parked &&
            stats.books.queued - stats.parked >= stats.queue_depth &&
            stats.oldest_wait_ns > s->ready_grace)
            return respond_full(request, snapshot->conf->pools[i].name, stats.oldest_wait_ns);
    }
    response_static(request, 200, text_plain, ready, strlen(ready));
    return 0;
}

const struct action action_ready = {
    .conf = {.name = "ready",
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct settings),
             .doc = "200, or 503 while draining or while a pool is full for long."},
    .run = run,
};
