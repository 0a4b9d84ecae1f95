/* task.h - a piece of blocking work on its way: loop -> queue -> worker -> mailbox -> loop.
 *
 * It has one owner at a time.  Whoever submits it owns it before pool_submit and again when its mail
 * is delivered (or when pool_submit hands it back as refused); in between only the pool and the
 * worker that runs it touch it, apart from `signals` and `poll_fd`. */
#ifndef HANDOFFD_TASK_H
#define HANDOFFD_TASK_H

#include "list.h"
#include "mailbox.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How a task ended. */
enum task_end {
    TASK_RAN,           /* `run` was called and has returned */
    TASK_QUEUE_FULL,    /* did not run: no thread free and no place in the queue */
    TASK_QUEUE_TIMEOUT, /* did not run: waited too long, or would have */
    TASK_ROUTE_FULL,    /* did not run: its lane is at its cap and so is what waits for that */
    TASK_DRAINING,      /* did not run: the program stops */
    TASK_CLIENT_GONE,   /* did not run: whoever wanted it has left */
    TASK_END_COUNT,
};

/* What became of a task that ran. */
enum task_result {
    TASK_RESULT_OK,
    TASK_RESULT_ERROR,
    TASK_RESULT_TIMEOUT,
    TASK_RESULT_CANCELLED,
    TASK_RESULT_COUNT,
};

enum task_state {
    TASK_IDLE,    /* not with the pool */
    TASK_PARKED,  /* waits for its lane's cap */
    TASK_READY,   /* waits for a thread */
    TASK_RUNNING, /* on a worker */
};

struct lane;

struct task {
    struct task *next; /* in a chain: the submitter's, or the pool's queue */
    struct task *prev;
    struct mail done;
    struct mailbox *reply_to;
    void (*run)(struct task *task); /* on a worker's thread; sets `result` unless all is well */
    struct lane *lane;              /* where it is submitted; alive until the task is back */
    int64_t queue_timeout_ns;       /* longest wait; 0: none */
    int64_t queue_budget_ns;        /* refused at once if it would wait longer; 0: none */
    int64_t run_timeout_ns;         /* longest run; 0: none.  See pool_look */
    _Atomic uint32_t signals;       /* TASK_CANCELLED and a count of nudges; a futex */
    _Atomic int poll_fd;            /* plus 1; 0: none, task_open_poll_fd */
    _Atomic unsigned n_poking;      /* threads that write to it just now */

    /* The pool's, by its lock, while it has the task. */
    enum task_state state;
    struct list in_lane;
    int64_t submitted_ns; /* CLOCK_MONOTONIC, like all that follow */
    int64_t ready_ns;     /* when it began to wait for a thread */
    int64_t started_ns;   /* 0: never */
    int64_t finished_ns;
    enum task_end end;
    enum task_result result;
    int64_t children_cpu_ns; /* CPU time that `run` has used outside of its thread */
    bool timed_out;          /* has run for longer than it may */
};

/* A chain of tasks in order. */
struct task_list {
    struct task *first;
    struct task *last;
    unsigned count;
};

static inline void task_list_add(struct task_list *list, struct task *task)
{
    task->next = NULL;
    task->prev = list->last;
    if (list->last)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
    list->count++;
}

static inline void task_list_remove(struct task_list *list, struct task *task)
{
    if (task->prev)
        task->prev->next = task->next;
    else
        list->first = task->next;
    if (task->next)
        task->next->prev = task->prev;
    else
        list->last = task->prev;
    list->count--;
}

/* Moves all of `more` behind what is in `list`. */
static inline void task_list_append(struct task_list *list, struct task_list *more)
{
    if (!more->first)
        return;
    more->first->prev = list->last;
    if (list->last)
        list->last->next = more->first;
    else
        list->first = more->first;
    list->last = more->last;
    list->count += more->count;
    *more = (struct task_list){0};
}

static inline struct task *task_list_pop(struct task_list *list)
{
    struct task *task = list->first;

    if (task)
        task_list_remove(list, task);
    return task;
}

enum { TASK_CANCELLED = 1 << 0, TASK_NUDGE = 1 << 1 };

/* Asks a task to end early; its `run` looks at task_cancelled or waits in one of the functions below.
 * Any thread that knows the task to be alive; again is harmless. */
void task_cancel(struct task *task);

static inline bool task_cancelled(struct task *task)
{
    return atomic_load_explicit(&task->signals, memory_order_acquire) & TASK_CANCELLED;
}

/* On the worker's thread: blocks until `deadline_ns` (CLOCK_MONOTONIC).  false: the task was
 * cancelled before. */
bool task_sleep_until(struct task *task, int64_t deadline_ns);

/* ---- waiting for what others do -------------------------------------------------------------- */

/* Tells the task's worker that something it may wait for has changed.  Any thread that knows the
 * task to be alive. */
void task_nudge(struct task *task);

/* What task_wait is to be told: read it, look at what is waited for, then wait. */
static inline uint32_t task_signals(struct task *task)
{
    return atomic_load_explicit(&task->signals, memory_order_acquire);
}

/* On the worker's thread: blocks until the task is nudged or cancelled, not at all if that has
 * happened since task_signals returned `seen`.  May return early for no reason. */
void task_wait(struct task *task, uint32_t seen);

/* For a worker that waits in poll(2): an eventfd(2) that becomes readable with every nudge and when
 * the task is cancelled (at once if it has been).  To be closed by the same `run`.  -errno. */
int task_open_poll_fd(struct task *task);
void task_close_poll_fd(struct task *task);

#endif
