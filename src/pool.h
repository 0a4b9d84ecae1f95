/* pool.h - a bounded pool of threads with a bounded queue.  Knows neither HTTP nor libevent.
 *
 * Tasks come in by lanes, one for each kind of work (a route), each with a cap of its own; pool_queue.h
 * tells in which order they run.
 *
 * Every function may be called from any thread unless it says otherwise; none blocks for longer
 * than a short critical section, except where "waits" is written. */
#ifndef HANDOFFD_POOL_H
#define HANDOFFD_POOL_H

#include "pool_queue.h"
#include "task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool_settings {
    unsigned threads;     /* at most so many, at least 1 */
    unsigned queue_depth; /* tasks that may wait for a thread when every one is busy */
    bool on_demand;       /* a thread is made only when none is idle */
    int64_t
        idle_ns; /* on demand: an idle thread ends after this long; 0: never; or POOL_NO_IDLING */
    int nice;    /* 0 to 19; of threads made from now on, as is */
    size_t stack_size; /* bytes */
    struct pool_queue_settings queue;
};

/* A thread that finds nothing more to do ends at once. */
#define POOL_NO_IDLING INT64_C(-1)

struct lane_settings {
    unsigned concurrency; /* at most so many of its tasks run at one time; 0: no cap */
    /* At most so many wait: for the cap where there is one, else for a thread. */
    unsigned max_queue;
};

/* States of tasks are disjoint and add up at every instant:
 * submitted = ran (each result) + refused (each reason) + queued + running. */
struct pool_books {
    uint64_t submitted;
    uint64_t ran;
    uint64_t results[TASK_RESULT_COUNT];
    uint64_t refused[TASK_END_COUNT]; /* [TASK_RAN] is unused */
    uint64_t wait_ns;                 /* summed over the tasks that ran */
    uint64_t run_ns;                  /* summed over the tasks that ran */
    int64_t recent_run_ns;            /* moving average of the run time; 0: none has run */
    unsigned queued;
    unsigned running;
};

struct pool_stats {
    unsigned threads;   /* the configured number */
    unsigned active;    /* threads that exist */
    unsigned busy;      /* threads that run a task: books.running */
    unsigned idle;      /* active - busy */
    unsigned available; /* threads - busy, 0 while a shrunk pool is still busier */
    unsigned queue_depth;
    unsigned parked;          /* of the queued ones: those that wait for their lane's cap */
    int64_t oldest_wait_ns;   /* of the task that waits longest; 0: none waits */
    unsigned highest_busy;    /* since the pool was made */
    int64_t expected_wait_ns; /* of a task that would be submitted now, in a lane without cap */
    struct pool_books books;
};

struct lane_stats {
    struct lane_settings settings;
    int64_t expected_wait_ns; /* of a task that would be submitted to it now */
    struct pool_books books;
};

/* ---- life ------------------------------------------------------------------------------------ */

/* A pool without threads; pool_configure gives it some.  The name is copied.  `ended` is called (on
 * the thread that ends, no lock held) whenever a thread needs pool_reap.  One reference is the
 * caller's.  NULL: out of memory. */
struct pool *pool_new(const char *name, void (*ended)(void *arg), void *arg);

struct pool *pool_ref(struct pool *pool);
/* Gives a reference back; the last one frees the pool, whose threads must have been reaped. */
void pool_unref(struct pool *pool);

const char *pool_name(const struct pool *pool);

/* Brings a pool to these settings while it works: grows at once (on demand: if tasks wait), retires
 * idle threads at once and busy ones after their task; tasks that wait stay queued even if they are
 * more than the new depth.  0, or -errno of pthread_create(3): then the pool has the settings and as
 * many threads as could be made. */
int pool_configure(struct pool *pool, const struct pool_settings *settings) WARN_UNUSED;
void pool_get_settings(struct pool *pool, struct pool_settings *out);

/* The lane of that name, made without a cap if there is none yet, with a reference for the caller,
 * who holds one to the pool for as long.  NULL: out of memory. */
struct lane *pool_lane(struct pool *pool, const char *name);
/* Gives a reference back; the lane's tasks must have come back before the last one. */
void lane_unref(struct lane *lane);

const char *lane_name(const struct lane *lane);

/* Changes a lane's cap while it works; tasks that wait stay queued.  0, or -errno as of
 * pool_submit. */
int lane_configure(struct lane *lane, const struct lane_settings *settings) WARN_UNUSED;

/* ---- work ------------------------------------------------------------------------------------ */

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

enum pool_verdict {
    POOL_GOES_ON,   /* it is in time; look again at *again, or never when that is INT64_MAX */
    POOL_WAITED,    /* waited too long, ended as TASK_QUEUE_TIMEOUT: the caller's again */
    POOL_TIMED_OUT, /* runs for too long: cancelled just now, still the pool's */
};

/* Holds a task against the clock: the pool has no timer, so whoever submitted a task with a timeout
 * looks when the time has come.  `now` and `again` are CLOCK_MONOTONIC in ns.  By the submitter,
 * before the task's mail. */
enum pool_verdict pool_look(struct pool *pool, struct task *task, int64_t now,
                            int64_t *again) WARN_UNUSED;

/* ---- stopping -------------------------------------------------------------------------------- */

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

/* ---- numbers --------------------------------------------------------------------------------- */

void pool_get_stats(struct pool *pool, struct pool_stats *out);
void lane_get_stats(struct lane *lane, struct lane_stats *out);

/* CPU time that the threads have used so far, and tasks' children; ns.  Asks the system about each
 * thread. */
int64_t pool_cpu_ns(struct pool *pool);

#endif
