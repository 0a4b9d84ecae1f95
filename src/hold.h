/* hold.h - answers that wait for their time, by one timer of the loop.  The loop's thread only. */
#ifndef HANDOFFD_HOLD_H
#define HANDOFFD_HOLD_H

#include "exchange.h"
#include "parse_num.h"
#include "timer_heap.h"

struct event;
struct loop;

struct hold {
    struct timer_heap heap; /* of exchange.hold */
    struct event *event;    /* timerfd(2) */
    int fd;
    int64_t armed_ns; /* when the timer fires; 0: it is not set */
};

/* 0 or -errno. */
int hold_init(struct loop *loop) WARN_UNUSED;
void hold_close(struct loop *loop);

/* Has `send` called with the exchange after `ns` nanoseconds, never earlier.  0 or -ENOMEM. */
int hold_add(struct exchange *exchange, int64_t ns,
             void (*send)(struct exchange *exchange)) WARN_UNUSED;

/* Takes an exchange back.  Nothing when it is not held. */
void hold_release(struct exchange *exchange);

/* The exchange that is due first, due or not; NULL: none is held. */
struct exchange *hold_first(struct loop *loop);

#endif
