/* DESIGN
 *
 * A timer that the loop sets again each time it has come to it shows how late it comes, whatever the
 * reason: an action that blocks, too many requests in one turn, a machine that is busy with other
 * things.  Who blocks is known from the actions themselves, each of which is timed. */
#include "lag.h"

#include "exchange.h"
#include "loop.h"

static void on_time(struct loop_timer *timer);

static void set_timer(struct loop *loop, int64_t now)
{
    struct lag *lag = &loop->lag;

    lag->due_ns = now + LAG_INTERVAL_MS * NS_PER_MS;
    if (loop_timer_set(loop, &lag->timer, lag->due_ns, on_time))
        lag->due_ns = 0;
}

/* Nobody has been blamed for it. */
static void tell_late(struct loop *loop, int64_t late)
{
    struct lag *lag = &loop->lag;

    if (lag->longest)
        log_limited(&lag->limit, LOG_LEVEL_WARNING,
                    "loop %u came %lld ms late to its timer; longest was the route %s with %lld ms",
                    loop->index, (long long)(late / NS_PER_MS), lag->longest,
                    (long long)(lag->longest_ns / NS_PER_MS));
    else
        log_limited(
            &lag->limit, LOG_LEVEL_WARNING,
            "loop %u came %lld ms late to its timer, and no action of its own was the cause",
            loop->index, (long long)(late / NS_PER_MS));
}

static void count(struct loop *loop, int64_t late, int64_t now)
{
    struct lag *lag = &loop->lag;

    if (!lag->part)
        lag->part = meters_loop_part(&loop->snapshot->vitals->meters, loop->index);
    if (!lag->part)
        return;
    stats_buckets_add(&lag->part->lag, &stats_bounds_fine, late);
    stats_latency_add(&lag->part->lag_latency, late, now);
}

static void on_time(struct loop_timer *timer)
{
    struct loop *loop = container_of(timer, struct loop, lag.timer);
    struct lag *lag = &loop->lag;
    int64_t now = clock_now_ns(), late = now - lag->due_ns;

    count(loop, late > 0 ? late : 0, now);
    if (late > LAG_TOLD_MS * NS_PER_MS && lag->longest_ns <= LAG_TOLD_MS * NS_PER_MS)
        tell_late(loop, late);
    lag->longest = NULL;
    lag->longest_ns = 0;
    set_timer(loop, now);
}

void lag_note(struct loop *loop, const struct exchange *x, int64_t ns)
{
    struct lag *lag = &loop->lag;
    const struct request *request = &x->request;

    if (ns <= lag->longest_ns)
        return;
    lag->longest_ns = ns;
    /* The meter's name, which outlives the configuration. */
    lag->longest = request->snapshot->route_meters[request->route->index]->name;
    if (ns > LAG_TOLD_MS * NS_PER_MS)
        log_limited(&lag->limit, LOG_LEVEL_WARNING,
                    "loop %u was blocked for %lld ms by the action %s of the route %s, request %s",
                    loop->index, (long long)(ns / NS_PER_MS), request->route->action->name,
                    lag->longest, request->id);
}

void lag_start(struct loop *loop)
{
    loop->lag.limit.interval_ns = 10 * NS_PER_SEC;
    if (!loop->lag.due_ns)
        set_timer(loop, clock_now_ns());
}
