/* pool.h - a bounded pool of threads with a bounded queue.  Knows neither HTTP nor libevent.
 *
 * Every function may be called from any thread unless it says otherwise; none blocks for longer
 * than a short critical section, except where "waits" is written. */
#ifndef HANDOFFD_POOL_H
#define HANDOFFD_POOL_H

#include "task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool_settings {
    unsigned threads;     /* at most so many, at least 1 */
    unsigned queue_depth; /* tasks that may wait when every thread is busy */
    bool on_demand;       /* a thread is made only when none is idle */
    size_t stack_size;    /* bytes; of threads made from now on */
};

/* States of tasks are disjoint and add up at every instant:
 * submitted = ran + refused (each reason) + queued + running. */
struct pool_stats {
    unsigned threads;   /* the configured number */
    unsigned active;    /* threads that exist */
    unsigned busy;      /* threads that run a task */
    unsigned idle;      /* active - busy */
    unsigned available; /* threads - busy, 0 while a shrunk pool is still busier */
    unsigned queued;
    unsigned queue_depth;
    uint64_t submitted;
    uint64_t ran;
    uint64_t refused[TASK_END_COUNT]; /* [TASK_RAN] is unused */
    uint64_t wait_ns;                 /* summed over the tasks that ran */
    uint64_t run_ns;                  /* summed over the tasks that ran */
    int64_t oldest_wait_ns;           /* of the task that waits longest; 0: none waits */
    unsigned highest_busy;            /* since the pool was made */
};

/* A pool without threads; pool_configure gives it some.  The name is copied.  `ended` is called (on
 * the thread that ends, no lock held) whenever a thread needs pool_reap.  One reference is the
 * caller's.  NULL: out of memory. */
struct pool *pool_new(const char *name, void (*ended)(void *arg), void *arg);

struct pool *pool_ref(struct pool *pool);
/* Gives a reference back; the last one frees the pool, whose threads must have been reaped. */
void pool_unref(struct pool *pool);

const char *pool_name(const struct pool *pool);

/* Brings a pool to these settings while it works: grows at once (when not on demand), retires idle
 * threads at once and busy ones after their task; tasks that wait stay queued even if they are more
 * than the new depth.  0, or -errno of pthread_create(3): then the pool has the settings and as many
 * threads as could be made. */
int pool_configure(struct pool *pool, const struct pool_settings *settings) WARN_UNUSED;
void pool_get_settings(struct pool *pool, struct pool_settings *out);

/* Takes the tasks of `batch`, in order, under one lock and with at most one wake-up.  Those for
 * which there is no place come back in `refused` with their `end` set; they are the caller's again.
 * 0, or -errno of pthread_create(3) when a thread was wanted and could not be made: its task waits
 * for the threads there are.  When there is none at all, everything that waits ends as
 * TASK_QUEUE_FULL and goes to its mailbox. */
int pool_submit(struct pool *pool, struct task_list *batch, struct task_list *refused) WARN_UNUSED;

/* For a task that nobody wants any more.  While it waits it leaves the queue at once, ends as
 * TASK_CLIENT_GONE and is the caller's again: true.  While it runs it is cancelled; when it has run,
 * nothing happens: false, and its mail comes as ever.  By the submitter, before that mail. */
bool pool_withdraw(struct pool *pool, struct task *task);

/* Every waiting task ends as TASK_DRAINING and goes to its mailbox. */
void pool_refuse_queued(struct pool *pool);

/* task_cancel for every task that runs now. */
void pool_cancel_running(struct pool *pool);

/* Threads end as soon as the queue is empty.  Nothing may be submitted any more. */
void pool_stop(struct pool *pool);

/* Joins the threads that have ended.  Returns how many have not. */
unsigned pool_reap(struct pool *pool);

/* After pool_stop: waits for every thread and joins it. */
void pool_join(struct pool *pool);

void pool_get_stats(struct pool *pool, struct pool_stats *out);

#endif
