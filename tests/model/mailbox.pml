/* Letters to a thread that polls an eventfd edge-triggered and never reads it: src/mailbox.c.
 *
 * Each letter is posted ROUNDS times, again as soon as it has been delivered, so that addresses come
 * back (ABA).  The owner closes the eventfd as soon as everything has been delivered, and nobody may
 * write to it then: a letter is only taken out after the write that told of it. */

#ifndef POSTERS
#define POSTERS 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define NONE 0 /* NULL; the letter of poster p is p + 1 */

byte newest;
byte next[POSTERS + 1];
bool edge;   /* epoll_wait(2) has something to report */
bool closed; /* the eventfd */
bool posted[POSTERS + 1], delivered[POSTERS + 1];
byte n_delivered;

inline write_eventfd()
{
    atomic {
        assert(!closed);
        edge = true
    }
}

proctype poster(byte letter)
{
    byte round, seen;

    do
    :: round < ROUNDS ->
        delivered[letter] = false;
        seen = newest;
        if
        :: MUTANT == 2 && seen == NONE -> write_eventfd()
        :: else
        fi;
        do
        :: next[letter] = seen;
            atomic {
                posted[letter] = true;
                if
                :: newest == seen || MUTANT == 5 -> newest = letter; break
                :: else -> seen = newest
                fi
            }
        od;
        if
        :: (seen == NONE && MUTANT != 1 && MUTANT != 2) || (seen != NONE && MUTANT == 1) ->
            write_eventfd()
        :: else
        fi;
        delivered[letter];
        round++
    :: else -> break
    od
}

proctype owner()
{
    byte taken, oldest, other;

    do
    :: n_delivered < POSTERS * ROUNDS ->
        if
        :: MUTANT != 3 -> atomic { edge -> edge = false }
        :: else -> edge
        fi;
        atomic { taken = newest; newest = NONE };
        if
        :: MUTANT == 3 -> edge = false
        :: else
        fi;
        do
        :: taken != NONE ->
            other = next[taken];
            next[taken] = oldest;
            oldest = taken;
            taken = (MUTANT == 4 -> NONE : other)
        :: else -> break
        od;
        do
        :: oldest != NONE ->
            atomic {
                other = oldest;
                oldest = next[other];
                assert(posted[other]);
                posted[other] = false;
                n_delivered++;
                delivered[other] = true /* from here on it may be posted again */
            }
        :: else -> break
        od
    :: else -> break
    od;
    closed = true;
    assert(newest == NONE)
}

init
{
    byte i = 1;

    atomic {
        run owner();
        do
        :: i <= POSTERS -> run poster(i); i++
        :: else -> break
        od
    }
}
