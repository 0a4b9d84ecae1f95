/* crew.h - a pool with tasks that a test holds and lets go, for the pool's tests.  All of it is the
 * test's thread's, apart from what the comments say. */
#ifndef HANDOFFD_TESTS_CREW_H
#define HANDOFFD_TESTS_CREW_H

#include "pool.h"
#include "support.h"

#include <pthread.h>

/* More bytes than there are addresses: pthread_create(3) fails. */
#define CREW_IMPOSSIBLE_STACK ((size_t)1 << 60)

enum { CREW_JOBS = 64, CREW_STACK = 256 << 10 };

/* Holds the threads that come in until they are let go one by one. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside;
    unsigned passes;
};

struct job {
    struct task task;
    unsigned number;
    unsigned rank; /* in which order it was started, from 1; 0: never */
    bool slept;    /* of crew_run_sleeping: reached its deadline */
};

struct crew {
    struct pool *pool;
    struct mailbox box;
    struct gate gate;
    struct job jobs[CREW_JOBS];
    _Atomic unsigned started;
    _Atomic unsigned ended_threads;   /* calls of the pool's callback */
    struct job *delivered[CREW_JOBS]; /* in order */
    size_t n_delivered;
};

extern struct crew crew;

/* Makes the pool with its jobs, each of which waits at the gate when it runs. */
void crew_begin(unsigned threads, unsigned depth, bool on_demand);
/* Stops it; every job must have come back. */
void crew_end(void);
/* The same for a test that holds these lanes. */
void crew_end_with(struct lane *a, struct lane *b);

int crew_configure(unsigned threads, unsigned depth, bool on_demand, size_t stack_size);

/* Submits jobs as one batch.  Fails unless the last `refused` of them, and only they, come back for
 * that reason, in order. */
int crew_submit_batch(unsigned first, unsigned count, unsigned refused, enum task_end reason);
/* The same, all taken, one by one; fails on any error. */
void crew_submit(unsigned first, unsigned count);

void crew_run_nothing(struct task *task);
void crew_run_sleeping(struct task *task); /* for an hour, or until cancelled */

/* Waits until so many jobs are at the gate. */
void crew_wait_inside(unsigned count);
/* Lets so many go, now or when they come.  _release also waits until they are back. */
void crew_open(unsigned count);
void crew_release(unsigned count);
void crew_deliver(size_t count);
/* Waits until so many threads have ended, since the beginning. */
void crew_wait_ended(unsigned count);

/* The numbers; fails when they do not add up. */
struct pool_stats crew_stats(void);
void crew_check_books(const struct pool_stats *stats);

#endif
