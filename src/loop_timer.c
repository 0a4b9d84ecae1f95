/* DESIGN
 *
 * libevent counts time by a coarse clock: its timers fire up to some milliseconds early or late.  A
 * held answer is what somebody waits for, and a deadline is what somebody relies on, so these have a
 * timerfd of their own.  It is set to the earliest of them, or earlier: one that fires for a timer that
 * was stopped costs less than to set it again with each one that is.
 *
 * Timers fire at the end of a turn, behind what sockets and workers have brought: a loop that comes late
 * finds what came in time before it finds that the time is over. */
#include "loop_timer.h"

#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void arm(struct loop_timers *timers)
{
    const struct timer_node *first = timer_heap_first(&timers->heap);
    struct itimerspec at = {0};

    if (!first || timers->due || (timers->armed_ns && timers->armed_ns <= first->at_ns))
        return;
    at.it_value = clock_to_timespec(first->at_ns > 0 ? first->at_ns : 1);
    timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &at, NULL);
    timers->armed_ns = first->at_ns;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timers *timers = arg;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    timers->armed_ns = 0;
    timers->due = true;
}

void loop_timers_fire(struct loop *loop)
{
    struct loop_timers *timers = &loop->timers;
    struct timer_node *first;
    int64_t now;

    if (!timers->due)
        return;
    /* Those that are set anew meanwhile have to wait for the next turn, however soon their time is. */
    now = clock_now_ns();
    while ((first = timer_heap_first(&timers->heap)) && first->at_ns <= now) {
        struct loop_timer *timer = container_of(first, struct loop_timer, node);

        timer_heap_remove(&timers->heap, first);
        timer->fire(timer);
    }
    timers->due = false;
    arm(timers);
}

int loop_timers_init(struct loop *loop)
{
    struct loop_timers *timers = &loop->timers;

    timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timers->fd < 0)
        return -errno;
    timers->event = event_new(loop->base, timers->fd, EV_READ | EV_PERSIST, on_time, timers);
    return timers->event && event_add(timers->event, NULL) == 0 ? 0 : -ENOMEM;
}

void loop_timers_close(struct loop *loop)
{
    struct loop_timers *timers = &loop->timers;

    if (timers->event)
        event_free(timers->event);
    if (timers->fd >= 0)
        close(timers->fd);
    timer_heap_clear(&timers->heap);
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_ns,
                   void (*fire)(struct loop_timer *timer))
{
    int r;

    timer->fire = fire;
    timer->node.at_ns = at_ns;
    r = timer_heap_add(&loop->timers.heap, &timer->node);
    if (!r)
        arm(&loop->timers);
    return r;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    timer_heap_remove(&loop->timers.heap, &timer->node);
}
