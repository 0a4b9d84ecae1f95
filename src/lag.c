/* DESIGN
 *
 * A timer that the loop sets again each time it has come to it shows how late it comes, whatever the
 * reason: an action that blocks, too many requests in one turn, a machine that is busy with other
 * things.  Who blocks is known from the actions themselves, each of which is timed. */
#include "lag.h"

#include "exchange.h"
#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void set_timer(struct lag *lag, int64_t now)
{
    struct itimerspec at = {0};

    lag->due_ns = now + LAG_INTERVAL_MS * NS_PER_MS;
    at.it_value = clock_to_timespec(lag->due_ns);
    timerfd_settime(lag->fd, TFD_TIMER_ABSTIME, &at, NULL);
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

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct lag *lag = &loop->lag;
    int64_t now = clock_now_ns(), late = now - lag->due_ns;
    uint64_t expirations;

    (void)what;
    (void)!read(fd, &expirations, sizeof expirations);
    count(loop, late > 0 ? late : 0, now);
    if (late > LAG_TOLD_MS * NS_PER_MS && lag->longest_ns <= LAG_TOLD_MS * NS_PER_MS)
        tell_late(loop, late);
    lag->longest = NULL;
    lag->longest_ns = 0;
    set_timer(lag, now);
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

int lag_init(struct loop *loop)
{
    struct lag *lag = &loop->lag;

    lag->limit.interval_ns = 10 * NS_PER_SEC;
    lag->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (lag->fd < 0)
        return -errno;
    lag->event = event_new(loop->base, lag->fd, EV_READ | EV_PERSIST, on_time, loop);
    return lag->event && event_add(lag->event, NULL) == 0 ? 0 : -ENOMEM;
}

void lag_close(struct loop *loop)
{
    struct lag *lag = &loop->lag;

    if (lag->event)
        event_free(lag->event);
    if (lag->fd >= 0)
        close(lag->fd);
}

void lag_start(struct loop *loop)
{
    if (!loop->lag.due_ns)
        set_timer(&loop->lag, clock_now_ns());
}
