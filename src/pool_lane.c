/* Lanes: the kinds of work that share a pool, each by a name and with a cap of its own.  They outlive
 * reloads: a new configuration that has the same lane finds it with everything that waits there. */
#include "pool_private.h"

#include "clock.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void lane_init(struct lane *lane, struct pool *pool, char *name)
{
    *lane = (struct lane){.pool = pool, .name = name, .refs = 1, .max_queue = UINT_MAX};
    lane_queue_init(&lane->queue);
    list_init(&lane->link);
}

static struct lane *find(struct pool *pool, const char *name)
{
    struct list *link;

    list_for_each(link, &pool->lanes) {
        struct lane *lane = container_of(link, struct lane, link);

        if (lane != &pool->rest && !strcmp(lane->name, name))
            return lane;
    }
    return NULL;
}

static struct lane *lane_new(struct pool *pool, const char *name)
{
    struct lane *lane = malloc(sizeof *lane);
    char *copy = strdup(name);

    if (!lane || !copy) {
        free(lane);
        free(copy);
        return NULL;
    }
    lane_init(lane, pool, copy);
    return lane;
}

struct lane *pool_lane(struct pool *pool, const char *name)
{
    struct lane *lane;

    pthread_mutex_lock(&pool->lock);
    lane = find(pool, name);
    if (lane)
        lane->refs++;
    else if ((lane = lane_new(pool, name)))
        list_add_tail(&pool->lanes, &lane->link);
    pthread_mutex_unlock(&pool->lock);
    return lane;
}

void lane_unref(struct lane *lane)
{
    struct pool *pool = lane ? lane->pool : NULL;
    bool last;

    if (!lane)
        return;
    pthread_mutex_lock(&pool->lock);
    last = !--lane->refs;
    if (last)
        list_remove(&lane->link);
    pthread_mutex_unlock(&pool->lock);
    if (!last)
        return;
    free(lane->name);
    free(lane);
}

const char *lane_name(const struct lane *lane)
{
    return lane->name;
}

int lane_configure(struct lane *lane, const struct lane_settings *settings)
{
    struct pool *pool = lane->pool;
    struct worker *next;
    bool more;

    pthread_mutex_lock(&pool->lock);
    lane->queue.concurrency = settings->concurrency;
    lane->max_queue = settings->max_queue;
    pool_queue_promote(&pool->queue, &lane->queue, clock_now_ns());
    books_check(lane);
    next = worker_choose(pool);
    more = worker_is_wanted(pool);
    pthread_mutex_unlock(&pool->lock);
    worker_wake(next);
    return more ? worker_add_wanted(pool) : 0;
}
