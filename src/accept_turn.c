/* DESIGN
 *
 * Where the turn is, only its owner knows: it tells the next one by mail.  What all of them see is how
 * many connections each has, in a cache line of its own that is written when a connection opens or
 * closes, and whether the turn is free.
 *
 * The turn moves on as soon as its owner is ahead of another loop by more than an eighth of what it
 * has: few connections, each of which may be busy for long, are spread evenly; where there are many, it
 * need not move with each of them.  It need not either where connections close soon after they open:
 * that they do is an owner's credit for a few more.
 *
 * A free turn.  The last owner stores `free` and then looks for room once more; a loop that gets room
 * stores its count and then looks at `free`.  All of that is sequentially consistent, so one of the two
 * sees the other, and who takes the turn is decided by the exchange. */
#include "accept_turn.h"

#include <errno.h>
#include <stdlib.h>

enum { TOLERANCE = 8, MAX_CHURN = 4 };

int accept_turn_init(struct accept_turn *turn, unsigned n_loops)
{
    *turn = (struct accept_turn){.n_seats = n_loops};
    turn->seats = aligned_alloc(_Alignof(struct accept_seat), n_loops * sizeof *turn->seats);
    if (!turn->seats)
        return -ENOMEM;
    for (unsigned i = 0; i < n_loops; i++) {
        atomic_init(&turn->seats[i].open, 0);
        atomic_init(&turn->seats[i].max, 0);
        turn->seats[i].churn = 0;
    }
    return 0;
}

void accept_turn_destroy(struct accept_turn *turn)
{
    free(turn->seats);
    *turn = (struct accept_turn){0};
}

void accept_turn_set_max(struct accept_turn *turn, unsigned loop, unsigned max)
{
    atomic_store(&turn->seats[loop].max, max);
}

void accept_turn_opened(struct accept_turn *turn, unsigned loop)
{
    struct accept_seat *seat = &turn->seats[loop];

    atomic_store(&seat->open, atomic_load(&seat->open) + 1);
    seat->churn -= seat->churn > 0;
}

/* Where as many close as open, the credit rises all the same. */
void accept_turn_closed(struct accept_turn *turn, unsigned loop)
{
    struct accept_seat *seat = &turn->seats[loop];

    atomic_store(&seat->open, atomic_load(&seat->open) - 1);
    seat->churn = seat->churn + 2 < MAX_CHURN ? seat->churn + 2 : MAX_CHURN;
}

static bool has_room(const struct accept_seat *seat)
{
    return atomic_load(&seat->open) < atomic_load(&seat->max);
}

/* The loop with the fewest connections among the others that have room, the next ones first. */
static int least_of_others(const struct accept_turn *turn, unsigned loop, unsigned *least)
{
    int found = ACCEPT_TURN_NOBODY;

    for (unsigned i = 1; i < turn->n_seats; i++) {
        unsigned other = (loop + i) % turn->n_seats;
        unsigned open = atomic_load(&turn->seats[other].open);

        if (!has_room(&turn->seats[other]) || (found != ACCEPT_TURN_NOBODY && open >= *least))
            continue;
        found = (int)other;
        *least = open;
    }
    return found;
}

/* Nobody has room, as it looks. */
static int set_free(struct accept_turn *turn)
{
    atomic_store(&turn->free, true);
    for (unsigned i = 0; i < turn->n_seats; i++)
        if (has_room(&turn->seats[i]))
            return atomic_exchange(&turn->free, false) ? (int)i : ACCEPT_TURN_NOBODY;
    return ACCEPT_TURN_NOBODY;
}

int accept_turn_next(struct accept_turn *turn, unsigned loop)
{
    const struct accept_seat *seat = &turn->seats[loop];
    unsigned open = atomic_load(&seat->open), least = 0;
    int other = least_of_others(turn, loop, &least);

    if (!has_room(seat))
        return other == ACCEPT_TURN_NOBODY ? set_free(turn) : other;
    if (other == ACCEPT_TURN_NOBODY || open <= least + open / TOLERANCE + seat->churn)
        return (int)loop;
    return other;
}

bool accept_turn_take(struct accept_turn *turn, unsigned loop)
{
    return has_room(&turn->seats[loop]) && atomic_load(&turn->free) &&
           atomic_exchange(&turn->free, false);
}
