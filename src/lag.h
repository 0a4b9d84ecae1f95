/* lag.h - how late a loop comes to what it should do, and who made it late.  The loop's thread only. */
#ifndef HANDOFFD_LAG_H
#define HANDOFFD_LAG_H

#include "log.h"
#include "parse_num.h"

#include <stdbool.h>
#include <stdint.h>

struct event;
struct exchange;
struct loop;
struct loop_part;

enum { LAG_INTERVAL_MS = 100, LAG_TOLD_MS = 100 };

struct lag {
    struct event *event; /* timerfd(2) */
    int fd;
    int64_t due_ns;         /* when the timer fires next */
    struct loop_part *part; /* where it is counted; NULL: not yet */
    const char *longest;    /* the route that has held the loop for longest since the last tick, */
    int64_t longest_ns;     /* and for how long; 0: none */
    struct log_limit limit;
};

/* Before the loop's thread runs; the measuring begins with lag_start.  0 or -errno. */
int lag_init(struct loop *loop) WARN_UNUSED;
void lag_close(struct loop *loop);
void lag_start(struct loop *loop);

/* The loop has run an action for that long.  Tells of it if that was too long. */
void lag_note(struct loop *loop, const struct exchange *exchange, int64_t ns);

#endif
