/* DESIGN
 *
 * A pool is starved when it has no thread free and a task that waits, and has been so at every look for
 * as long as starvation_notice says.
 *
 * What it needs is Little's law: on average, as many requests are at work as arrive in a second times
 * the seconds that each takes.  Arrivals are counted from the last look at which it was not starved, so
 * that the burst that has begun it is in them; the time that each takes is the mean of those that have
 * ended since.  Clients that wait for an answer before they ask again come more slowly because they are
 * starved, so it is also told with how many threads none of those that are here would wait. */
#include "starvation.h"

#include "clock.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROUTES = 3 };

struct watched_pool {
    char *name;
    struct pool_books before; /* when it was not starved last, */
    int64_t before_ns;        /* which was then */
    struct pool_books begin;  /* when it was found starved, */
    int64_t since_ns;         /* which was then; 0: it is not */
    char *told;               /* what was logged; NULL: nothing yet */
};

/* ---- what is told ---------------------------------------------------------------------------- */

struct busy_route {
    const char *path;
    struct lane_stats stats;
};

/* Keeps the busiest ones, busiest first. */
static void insert(struct busy_route routes[MAX_ROUTES], struct busy_route route)
{
    for (int i = 0; i < MAX_ROUTES; i++)
        if (!routes[i].path || routes[i].stats.books.running < route.stats.books.running) {
            struct busy_route before = routes[i];

            routes[i] = route;
            if (!before.path)
                break;
            route = before;
        }
}

static void describe_routes(const struct snapshot *snapshot, size_t pool, struct strbuf *out)
{
    struct busy_route routes[MAX_ROUTES] = {0};

    for (size_t i = 0; i < snapshot->conf->n_routes; i++) {
        struct busy_route route = {.path = snapshot->conf->routes[i].path};

        if (snapshot->conf->routes[i].pool_index != (int)pool)
            continue;
        lane_get_stats(snapshot->lanes[i], &route.stats);
        if (route.stats.books.running || route.stats.books.queued)
            insert(routes, route);
    }
    for (int i = 0; i < MAX_ROUTES && routes[i].path; i++)
        strbuf_addf(out, "%s %s (%u running, %u waiting)",
                    i ? "," : "; busiest routes:", routes[i].path, routes[i].stats.books.running,
                    routes[i].stats.books.queued);
}

static void describe_need(const struct watched_pool *pool, const struct pool_stats *stats,
                          int64_t now, struct strbuf *out)
{
    const struct pool_books *books = &stats->books;
    double came = (double)(books->submitted - pool->before.submitted);
    double rate = came * (double)NS_PER_SEC / (double)(now - pool->before_ns);
    uint64_t ended = books->ran - pool->begin.ran;
    double run = ended ? (double)(books->run_ns - pool->begin.run_ns) / (double)ended : 0;

    strbuf_addf(out, "; %.1f requests/s came", rate);
    if (ended)
        strbuf_addf(out,
                    " and ran %.0f ms on average: by Little's law %.0f threads keep up with them",
                    run / (double)NS_PER_MS, rate * run / (double)NS_PER_SEC + 0.999);
    else
        strbuf_adds(out, " and none has ended");
    strbuf_addf(out, "; with %u none would wait now", books->running + books->queued);
}

static char *describe(const struct watched_pool *pool, const struct snapshot *snapshot, size_t i,
                      const struct pool_stats *stats, int64_t now)
{
    struct strbuf text = {0};

    strbuf_addf(&text,
                "pool %s: starved for %.1f s: %u of %u threads busy, %u waiting, the longest "
                "for %.1f s",
                pool->name, (double)(now - pool->since_ns) / (double)NS_PER_SEC, stats->busy,
                stats->threads, stats->books.queued,
                (double)stats->oldest_wait_ns / (double)NS_PER_SEC);
    describe_routes(snapshot, i, &text);
    describe_need(pool, stats, now, &text);
    return strbuf_take(&text);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* The pool of that name, watched from now on if it was not.  NULL: out of memory. */
static struct watched_pool *watch(struct starvation *s, const char *name)
{
    struct watched_pool *pools;

    for (size_t i = 0; i < s->n_pools; i++)
        if (!strcmp(s->pools[i].name, name))
            return &s->pools[i];
    pools = reallocarray(s->pools, s->n_pools + 1, sizeof *pools);
    if (!pools)
        return NULL;
    s->pools = pools;
    pools[s->n_pools] = (struct watched_pool){.name = strdup(name)};
    return pools[s->n_pools].name ? &pools[s->n_pools++] : NULL;
}

static void forget(struct starvation *s, size_t i)
{
    free(s->pools[i].name);
    free(s->pools[i].told);
    s->pools[i] = s->pools[--s->n_pools];
}

static bool is_starved(const struct pool_stats *stats)
{
    /* Tasks that wait for their route's own cap have no use for a thread. */
    return !stats->available && stats->books.queued > stats->parked;
}

/* True: there is something else to tell. */
static bool end(struct watched_pool *pool, int64_t now)
{
    bool told = pool->told != NULL;

    if (told)
        log_notice("pool %s: no longer starved, after %.1f s", pool->name,
                   (double)(now - pool->since_ns) / (double)NS_PER_SEC);
    free(pool->told);
    pool->told = NULL;
    pool->since_ns = 0;
    return told;
}

static bool look_at(struct starvation *s, const struct snapshot *snapshot, size_t i, int64_t now)
{
    struct watched_pool *pool = watch(s, snapshot->conf->pools[i].name);
    bool changed = false;
    struct pool_stats stats;

    if (!pool)
        return false;
    pool_get_stats(snapshot->pools[i], &stats);
    /* One that a reload has removed and brought back has begun to count anew. */
    if (!is_starved(&stats) || stats.books.submitted < pool->before.submitted) {
        changed = pool->since_ns && end(pool, now);
        pool->before = stats.books;
        pool->before_ns = now;
    } else if (!pool->since_ns) {
        pool->begin = stats.books;
        pool->since_ns = now;
        if (!pool->before_ns)
            pool->before_ns = snapshot->vitals->started_ns;
    } else if (!pool->told && now - pool->since_ns >= snapshot->conf->server.starvation_notice) {
        pool->told = describe(pool, snapshot, i, &stats, now);
        changed = pool->told != NULL;
        if (changed)
            log_warning("%s", pool->told);
    }
    return changed;
}

static bool forget_removed(struct starvation *s, const struct snapshot *snapshot)
{
    bool told = false;

    for (size_t i = s->n_pools; i-- > 0;)
        if (conf_find_pool(snapshot->conf, s->pools[i].name) < 0) {
            told |= s->pools[i].told != NULL;
            forget(s, i);
        }
    return told;
}

bool starvation_look(struct starvation *s, const struct snapshot *snapshot)
{
    int64_t notice = snapshot->conf->server.starvation_notice, now = clock_now_ns();
    int64_t pause = notice / 4 < NS_PER_SEC ? notice / 4 : NS_PER_SEC;
    bool changed = forget_removed(s, snapshot);

    for (size_t i = 0; notice && i < snapshot->conf->n_pools; i++)
        changed |= look_at(s, snapshot, i, now);
    if (!notice) {
        for (size_t i = 0; i < s->n_pools; i++)
            changed |= s->pools[i].told != NULL;
        starvation_clear(s);
        pause = NS_PER_SEC; /* a reload may want it again */
    }
    s->due_ns = now + (pause > NS_PER_MS ? pause : NS_PER_MS);
    return changed;
}

void starvation_describe(const struct starvation *s, struct strbuf *out)
{
    for (size_t i = 0; i < s->n_pools; i++)
        if (s->pools[i].told)
            strbuf_addf(out, "%s; ", s->pools[i].told);
}

void starvation_clear(struct starvation *s)
{
    while (s->n_pools)
        forget(s, s->n_pools - 1);
    free(s->pools);
    *s = (struct starvation){0};
}
