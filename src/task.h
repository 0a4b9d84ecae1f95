/* task.h - a piece of blocking work on its way: loop -> queue -> worker -> mailbox -> loop.
 *
 * It has one owner at a time.  Whoever submits it owns it before pool_submit and again when its mail
 * is delivered (or when pool_submit hands it back as refused); in between only the pool and the
 * worker that runs it touch it, apart from `cancelled`. */
#ifndef HANDOFFD_TASK_H
#define HANDOFFD_TASK_H

#include "mailbox.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How a task ended. */
enum task_end {
    TASK_RAN,         /* `run` was called and has returned */
    TASK_QUEUE_FULL,  /* did not run: no thread free and no place in the queue */
    TASK_DRAINING,    /* did not run: the program stops */
    TASK_CLIENT_GONE, /* did not run: whoever wanted it has left */
    TASK_END_COUNT,
};

enum task_state { TASK_IDLE, TASK_QUEUED, TASK_RUNNING };

struct task {
    struct task *next;
    struct task *prev;
    enum task_state state; /* guarded by the pool's lock */
    struct mail done;
    struct mailbox *reply_to;
    void (*run)(struct task *task); /* on a worker's thread */
    enum task_end end;
    _Atomic uint32_t cancelled;
    int64_t submitted_ns; /* CLOCK_MONOTONIC */
    int64_t started_ns;   /* 0: never */
    int64_t finished_ns;
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

static inline struct task *task_list_pop(struct task_list *list)
{
    struct task *task = list->first;

    if (task)
        task_list_remove(list, task);
    return task;
}

/* Asks a task to end early; its `run` looks at task_cancelled or waits in task_sleep_until.  Any
 * thread that knows the task to be alive; again is harmless. */
void task_cancel(struct task *task);

static inline bool task_cancelled(struct task *task)
{
    return atomic_load_explicit(&task->cancelled, memory_order_acquire) != 0;
}

/* On the worker's thread: blocks until `deadline_ns` (CLOCK_MONOTONIC).  false: the task was
 * cancelled before. */
bool task_sleep_until(struct task *task, int64_t deadline_ns);

#endif
