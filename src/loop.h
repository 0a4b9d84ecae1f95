/* loop.h - an event loop on a thread of its own, and what belongs to that thread alone.
 *
 * Everything in struct loop is touched by its thread only, but for the mailbox and the question.  Other
 * threads ask by loop_call. */
#ifndef HANDOFFD_LOOP_H
#define HANDOFFD_LOOP_H

#include "accept_turn.h"
#include "access_log.h"
#include "clock.h"
#include "guard.h"
#include "lag.h"
#include "list.h"
#include "loop_timer.h"
#include "mailbox.h"
#include "snapshot.h"
#include "task.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    LOOP_MAX_BATCHES = 16,
    LOOP_SCRATCH_SIZE = 32768, /* the longest head that can come together fits */
    LOOP_INPUT_SIZE = 65536,
    LOOP_MAX_FREE_EXCHANGES = 256
};

struct loop_batch {
    struct pool *pool;
    struct task_list tasks;
};

/* A letter that a loop answers by having read it; the supervisor's while it is answered. */
struct loop_question {
    struct mail mail;
    _Atomic bool answered;
};

struct loop {
    struct event_base *base;
    struct event *mail_event;
    struct mailbox mailbox;
    struct loop_question question;
    pthread_t thread;
    unsigned index;
    bool started;
    bool stopping;       /* leave the loop after this turn */
    bool draining;       /* answers tell clients to close */
    unsigned last_turns; /* turns in which a draining loop still accepts what had connected */
    bool retiring;       /* a listening socket is to be closed: turns do not wait */
    bool refusing;       /* blocking work is refused: the drain's time is up */
    struct snapshot *snapshot;
    struct list bindings;       /* struct binding, server.c */
    struct list conns;          /* every connection, */
    struct list fresh;          /* but for those just accepted */
    struct conn *prepared;      /* for the next one; NULL: no memory for it */
    struct event *attach_event; /* takes those over */
    struct list todo;           /* connections that go on at the end of the turn */
    struct conn *giving;        /* gives evhttp a request just now */
    struct conn *feeding; /* feeds its guard just now; `freed` tells that it has gone meanwhile */
    struct conn *freed;
    struct loop *const *loops; /* all of them, by index: they share max_connections */
    struct accept_turn *turn;  /* and the listening sockets */
    struct mail turn_letter;   /* gives the turn to this loop */
    bool has_turn;
    unsigned n_connections;
    unsigned max_connections;   /* this loop's share */
    bool accepting;             /* false: pauses, full or for want of descriptors or memory */
    struct event *resume_event; /* ends a pause for want of something */
    struct loop_timers timers;
    struct list held; /* exchanges whose answers wait for their time */
    struct lag lag;
    struct list free_exchanges;
    unsigned n_free_exchanges;
    unsigned in_flight; /* requests that have not been answered whole */
    struct loop_batch batches[LOOP_MAX_BATCHES];
    unsigned n_batches;
    /* Called on the loop's thread when it drains and nothing is in flight any more. */
    void (*on_idle)(void *arg);
    void *on_idle_arg;
    time_t date_second;
    char date[HTTP_DATE_SIZE];
    char next_id[33]; /* of a request: 16 digits at random, 16 that count, hexadecimal */
    uint64_t random;
    char scratch[LOOP_SCRATCH_SIZE]; /* where heads and small answers are put together */
    char input[LOOP_INPUT_SIZE];     /* what was read from a socket last */
    struct guard_limits limits;      /* the snapshot's */
    struct guard_event guard_event;
    struct access_lines access;
};

/* The loop of that number among `loops`, as many as `turn` has seats; both stay the caller's.  NULL with
 * errno set.  `on_idle` as above. */
struct loop *loop_new(unsigned index, struct loop *const *loops, struct accept_turn *turn,
                      void (*on_idle)(void *arg), void *arg);

/* A random number, for jitter. */
uint32_t loop_random(struct loop *loop);

/* The loop whose thread calls; NULL on other threads. */
struct loop *loop_current(void);

/* Starts the thread.  0 or -errno.  Signals must be blocked in the caller. */
int loop_start(struct loop *loop) WARN_UNUSED;

/* Runs `call` on the loop's thread and waits for it.  Not from that thread. */
void loop_call(struct loop *loop, void (*call)(struct loop *loop, void *arg), void *arg);

/* Asks whether the loop turns, without waiting; one thread alone asks.  Nothing while the last question
 * has not been answered. */
void loop_ask(struct loop *loop);
/* Whether it has turned since it was asked last. */
bool loop_has_answered(const struct loop *loop);

/* Ends the thread after the current turn and joins it, if it was started. */
void loop_stop(struct loop *loop);

/* Nothing may be in flight. */
void loop_free(struct loop *loop);

/* The HTTP date of now, kept for a second. */
const char *loop_date(struct loop *loop);

#endif
