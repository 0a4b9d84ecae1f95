/* loop_timer.h - exact timers of a loop: held answers, deadlines of tasks and connections.  The loop's
 * thread only. */
#ifndef HANDOFFD_LOOP_TIMER_H
#define HANDOFFD_LOOP_TIMER_H

#include "parse_num.h"
#include "timer_heap.h"

#include <stdbool.h>

struct event;
struct loop;

/* Lives in its owner; zeroed it is not set. */
struct loop_timer {
    struct timer_node node;
    void (*fire)(struct loop_timer *timer); /* it is not set any more */
};

/* The timers of one loop. */
struct loop_timers {
    struct timer_heap heap; /* of loop_timer.node */
    struct event *event;    /* timerfd(2) */
    int fd;
    int64_t armed_ns; /* when the descriptor fires; 0: it is not set */
    bool due;         /* it has fired, and the timers have not been looked at */
};

/* 0 or -errno. */
int loop_timers_init(struct loop *loop) WARN_UNUSED;
void loop_timers_close(struct loop *loop);

/* At the end of each turn: calls those whose time has come. */
void loop_timers_fire(struct loop *loop);

/* Has `fire` called at `at_ns` (CLOCK_MONOTONIC) or soon after, never earlier; for a timer that is not
 * set.  0 or -ENOMEM. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_ns,
                   void (*fire)(struct loop_timer *timer)) WARN_UNUSED;

/* Nothing when it is not set. */
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

static inline bool loop_timer_is_set(const struct loop_timer *timer)
{
    return timer->node.place;
}

#endif
