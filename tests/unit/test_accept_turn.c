/* accept_turn: an even spread, nobody left out, the turn never lost and never twice. */
#include "accept_turn.h"
#include "support.h"

#include <pthread.h>
#include <sched.h>

enum { LOOPS = 4 };

static struct accept_turn turn;
static int owner;
static unsigned moves;

static void begin(unsigned max)
{
    ck_assert_int_eq(accept_turn_init(&turn, LOOPS), 0);
    for (unsigned i = 0; i < LOOPS; i++)
        accept_turn_set_max(&turn, i, max);
    owner = 0;
    moves = 0;
}

/* A connection comes to whoever has the turn.  Returns the loop that took it. */
static unsigned accept_one(void)
{
    unsigned taken_by = (unsigned)owner;

    ck_assert_int_ne(owner, ACCEPT_TURN_NOBODY);
    accept_turn_opened(&turn, taken_by);
    owner = accept_turn_next(&turn, taken_by);
    moves += owner != (int)taken_by;
    return taken_by;
}

static unsigned open_on(unsigned loop)
{
    return atomic_load(&turn.seats[loop].open);
}

START_TEST(few_connections_are_spread_evenly)
{
    begin(100);
    for (unsigned count = 1; count <= 3; count++) {
        for (unsigned i = 0; i < LOOPS; i++)
            accept_one();
        for (unsigned i = 0; i < LOOPS; i++)
            ck_assert_uint_eq(open_on(i), count);
    }
    accept_turn_destroy(&turn);
}
END_TEST

START_TEST(many_connections_are_spread_and_the_turn_rests)
{
    begin(10000);
    for (unsigned i = 0; i < 4000; i++)
        accept_one();
    for (unsigned i = 0; i < LOOPS; i++) {
        ck_assert_uint_ge(open_on(i), 850);
        ck_assert_uint_le(open_on(i), 1150);
    }
    ck_assert_uint_lt(moves, 400);
    accept_turn_destroy(&turn);
}
END_TEST

START_TEST(a_loop_that_lost_its_connections_catches_up)
{
    begin(100);
    for (unsigned i = 0; i < 40; i++)
        accept_one();
    while (open_on(2))
        accept_turn_closed(&turn, 2);
    for (unsigned i = 0; i < 10; i++)
        accept_one();
    ck_assert_uint_ge(open_on(2), 8);
    accept_turn_destroy(&turn);
}
END_TEST

/* Twenty are open, each for as long as twenty others take to come: who accepts may go on for a bit. */
START_TEST(short_connections_move_the_turn_less_often)
{
    unsigned taken_by[20] = {0};

    begin(100);
    for (unsigned i = 0; i < 2000; i++) {
        if (i >= COUNT_OF(taken_by))
            accept_turn_closed(&turn, taken_by[i % COUNT_OF(taken_by)]);
        taken_by[i % COUNT_OF(taken_by)] = accept_one();
    }
    ck_assert_uint_lt(moves, 1000);
    for (unsigned i = 0; i < LOOPS; i++) {
        ck_assert_uint_ge(open_on(i), 1);
        ck_assert_uint_le(open_on(i), 10);
    }
    accept_turn_destroy(&turn);
}
END_TEST

START_TEST(one_client_after_the_other_does_not_move_it)
{
    begin(100);
    for (unsigned i = 0; i < 100; i++)
        accept_turn_closed(&turn, accept_one());
    ck_assert_uint_le(moves, LOOPS);
    accept_turn_destroy(&turn);
}
END_TEST

START_TEST(full_loops_are_passed_over)
{
    begin(2);
    accept_turn_set_max(&turn, 1, 0);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_ne(accept_one(), 1);
    ck_assert_int_eq(owner, ACCEPT_TURN_NOBODY);
    for (unsigned i = 0; i < LOOPS; i++)
        ck_assert(!accept_turn_take(&turn, i));
    accept_turn_closed(&turn, 3);
    ck_assert(!accept_turn_take(&turn, 0));
    ck_assert(accept_turn_take(&turn, 3));
    ck_assert(!accept_turn_take(&turn, 3));
    accept_turn_destroy(&turn);
}
END_TEST

START_TEST(one_loop_keeps_it)
{
    ck_assert_int_eq(accept_turn_init(&turn, 1), 0);
    accept_turn_set_max(&turn, 0, 2);
    accept_turn_opened(&turn, 0);
    ck_assert_int_eq(accept_turn_next(&turn, 0), 0);
    accept_turn_opened(&turn, 0);
    ck_assert_int_eq(accept_turn_next(&turn, 0), ACCEPT_TURN_NOBODY);
    accept_turn_closed(&turn, 0);
    ck_assert(accept_turn_take(&turn, 0));
    accept_turn_destroy(&turn);
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

enum { ACCEPTS = 2000, ROOM = 2 };

static _Atomic int has_it[LOOPS];
static _Atomic int owners;
static _Atomic unsigned accepted;

static void get_turn(unsigned loop)
{
    ck_assert_int_eq(atomic_fetch_add(&owners, 1), 0);
    atomic_store(&has_it[loop], 1);
}

static void *loop_main(void *arg)
{
    unsigned loop = (unsigned)(uintptr_t)arg, open = 0;
    int next;

    while (atomic_load(&accepted) < ACCEPTS) {
        if (atomic_load(&has_it[loop])) {
            accept_turn_opened(&turn, loop);
            open++;
            atomic_fetch_add(&accepted, 1);
            next = accept_turn_next(&turn, loop);
            if (next == (int)loop)
                continue;
            atomic_store(&has_it[loop], 0);
            if (next == ACCEPT_TURN_NOBODY)
                continue;
            atomic_fetch_sub(&owners, 1);
            get_turn((unsigned)next);
        } else if (open) {
            accept_turn_closed(&turn, loop);
            open--;
            if (accept_turn_take(&turn, loop))
                atomic_store(&has_it[loop], 1); /* the last owner is still counted */
        } else {
            sched_yield();
        }
    }
    return NULL;
}

/* With as little room as this all loops are full again and again.  A turn that is lost stops them all
 * for ever, one that two have is seen by its owners. */
START_TEST(the_turn_is_never_lost_nor_doubled)
{
    pthread_t threads[LOOPS];

    begin(ROOM);
    get_turn(0);
    for (uintptr_t i = 0; i < LOOPS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, loop_main, (void *)i), 0);
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&owners), 1);
    accept_turn_destroy(&turn);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        few_connections_are_spread_evenly,
        many_connections_are_spread_and_the_turn_rests,
        a_loop_that_lost_its_connections_catches_up,
        short_connections_move_the_turn_less_often,
        one_client_after_the_other_does_not_move_it,
        full_loops_are_passed_over,
        one_loop_keeps_it,
        the_turn_is_never_lost_nor_doubled,
    };

    return support_run("accept_turn", tests, COUNT_OF(tests));
}
