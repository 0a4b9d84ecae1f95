/* lag.h - how late a loop comes to what it should do, and who made it late.  The loop's thread only. */
#ifndef HANDOFFD_LAG_H
#define HANDOFFD_LAG_H

#include "log.h"
#include "loop_timer.h"

#include <stdint.h>

struct exchange;
struct loop;
struct loop_part;

enum { LAG_INTERVAL_MS = 100, LAG_TOLD_MS = 100 };

struct lag {
    struct loop_timer timer;
    int64_t due_ns;         /* when it fires next; 0: the measuring has not begun */
    struct loop_part *part; /* where it is counted; NULL: not yet */
    const char *longest;    /* the route that has held the loop for longest since the last tick, */
    int64_t longest_ns;     /* and for how long; 0: none */
    struct log_limit limit;
};

/* Begins to measure; again is harmless.  Without memory nothing is measured. */
void lag_start(struct loop *loop);

/* The loop has run an action for that long.  Tells of it if that was too long. */
void lag_note(struct loop *loop, const struct exchange *exchange, int64_t ns);

#endif
