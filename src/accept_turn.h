/* accept_turn.h - which of several loops accepts connections.
 *
 * Loops that share listening sockets take turns: the one that has the turn polls the sockets and the
 * others do not, so that a connection wakes nobody in vain, and the turn goes to where there are the
 * fewest connections.  Works for any kind of socket, inherited ones too. */
#ifndef HANDOFFD_ACCEPT_TURN_H
#define HANDOFFD_ACCEPT_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { ACCEPT_TURN_NOBODY = -1 };

/* One loop's connections; it alone writes them. */
struct accept_seat {
    _Alignas(64) _Atomic unsigned open;
    _Atomic unsigned max;
    unsigned churn; /* how many have closed of late rather than stayed, up to a few; its own */
};

struct accept_turn {
    struct accept_seat *seats;
    unsigned n_seats;
    _Atomic bool free; /* nobody has room, so nobody has the turn */
};

/* The turn begins with loop 0.  0 or -ENOMEM. */
int accept_turn_init(struct accept_turn *turn, unsigned n_loops);
void accept_turn_destroy(struct accept_turn *turn);

/* The loop may have so many connections; it has one more; one less. */
void accept_turn_set_max(struct accept_turn *turn, unsigned loop, unsigned max);
void accept_turn_opened(struct accept_turn *turn, unsigned loop);
void accept_turn_closed(struct accept_turn *turn, unsigned loop);

/* By the loop that has the turn: who is to have it now?  The loop itself, another one, which the caller
 * tells, or ACCEPT_TURN_NOBODY: every loop is full, and who has room first takes the turn. */
int accept_turn_next(struct accept_turn *turn, unsigned loop);

/* By a loop without the turn that may have got room just now: whether it has the turn from here on,
 * because nobody had it. */
bool accept_turn_take(struct accept_turn *turn, unsigned loop);

#endif
