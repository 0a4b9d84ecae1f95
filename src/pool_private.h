/* pool_private.h - what the parts of the pool share: pool.c, pool_books.c, pool_lane.c, pool_worker.c.
 * Everything here is called with the pool's lock held, unless it says otherwise. */
#ifndef HANDOFFD_POOL_PRIVATE_H
#define HANDOFFD_POOL_PRIVATE_H

#include "list.h"
#include "pool.h"

#include <pthread.h>

struct lane {
    struct list link; /* in pool->lanes */
    struct pool *pool;
    char *name;
    unsigned refs;
    unsigned max_queue;
    struct lane_queue queue;
    struct pool_books books;
};

struct worker {
    struct list link; /* in pool->workers or pool->ended */
    struct list idle; /* in pool->idle */
    struct pool *pool;
    struct task *current;
    pthread_t thread;
    unsigned number;
    int nice;
    bool arrived;          /* `thread` is set */
    bool has_run;          /* a task, since `cpu_ns` was read */
    int64_t cpu_ns;        /* that the thread had used then */
    bool called;           /* taken off the idle list: `wake` is or will be set */
    bool leave;            /* told to end when it was called */
    _Atomic uint32_t wake; /* the futex an idle worker sleeps on; 1: get up */
};

struct pool {
    char *name;
    _Atomic unsigned refs;
    void (*on_end)(void *arg);
    void *on_end_arg;

    pthread_mutex_t lock;
    pthread_cond_t all_ended; /* signalled when `workers` becomes empty */
    struct pool_settings settings;
    struct pool_queue queue;
    struct list lanes; /* struct lane, `rest` among them */
    struct lane rest;  /* of tasks that name no lane */
    struct list idle;  /* struct worker, the last one that went idle first */
    unsigned n_idle;
    unsigned n_waking;   /* woken for work, not arrived yet */
    unsigned n_starting; /* created, not arrived yet */
    unsigned n_active;   /* workers that have not decided to leave */
    unsigned next_number;
    bool stopping;
    struct list workers;
    struct list ended;
    int64_t cpu_ns; /* of threads that have ended and of tasks' children */

    struct pool_books books;
    unsigned highest_busy;
};

/* ---- books (pool_books.c) -------------------------------------------------------------------- */

void books_note_submitted(struct pool *pool, struct task *task);
/* A task has been taken out of the queue, or was not let in, for this reason. */
void books_note_refused(struct pool *pool, struct task *task, enum task_end reason);
/* A task has been taken out of the queue to run. */
void books_note_started(struct pool *pool, struct task *task);
void books_note_ran(struct pool *pool, struct task *task);

/* Unless built with NDEBUG: aborts when the books of the lane or of its pool do not add up. */
void books_check(const struct lane *lane);

/* How long a task would wait that was submitted to the lane now, by the moving average of run times.
 * An estimate: 0 where a thread is free or nothing has run yet. */
int64_t books_expected_wait_ns(const struct pool *pool, const struct lane *lane);

/* ---- lanes (pool_lane.c) ---------------------------------------------------------------------- */

/* A lane without a cap, in no pool's list.  The name is kept, not copied. */
void lane_init(struct lane *lane, struct pool *pool, char *name);

/* ---- queue (pool.c) -------------------------------------------------------------------------- */

/* Threads that could run something and do not, those to be made included. */
unsigned pool_unused_threads(const struct pool *pool);

/* Turns a waiting task out: it goes to `out` with its `end` set. */
void pool_turn_out(struct pool *pool, struct task *task, enum task_end reason, int64_t now,
                   struct task_list *out);

/* Without the lock: sends tasks home by mail. */
void pool_post(struct task *task);
void pool_post_all(struct task_list *tasks);

/* ---- workers (pool_worker.c) ----------------------------------------------------------------- */

/* The idle worker to wake now, if there is work for one and no other is on its way; NULL: none. */
struct worker *worker_choose(struct pool *pool);

/* Without the lock: wakes it; NULL is allowed. */
void worker_wake(struct worker *worker);

/* Takes up to `count` idle workers off the list and adds them to `called`, for worker_wake_all: to end,
 * or to look at the pool's settings again. */
void worker_call_idle(struct pool *pool, unsigned count, bool leave, struct list *called);
/* Without the lock. */
void worker_wake_all(struct list *called);

/* Makes one more thread; lets go of the lock meanwhile.  0, or -errno of pthread_create(3). */
int worker_add(struct pool *pool) WARN_UNUSED;

/* Whether waiting tasks want one more thread and the settings allow it. */
bool worker_is_wanted(const struct pool *pool);

/* Without the lock: makes the threads that are wanted.  When none can be made and there is none at
 * all, what waits is turned out.  0 or -errno. */
int worker_add_wanted(struct pool *pool) WARN_UNUSED;

/* The lock is let go while threads are joined.  Returns how many have not ended. */
unsigned worker_join_ended(struct pool *pool);

#endif
