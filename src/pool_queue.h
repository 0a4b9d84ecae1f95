/* pool_queue.h - the waiting tasks of a pool and the order in which they run.
 *
 * No threads, no lock, no clock of its own: the pool's lock guards all of it, and `now` is always
 * CLOCK_MONOTONIC in nanoseconds.  Allocates nothing, so that nothing here can fail. */
#ifndef HANDOFFD_POOL_QUEUE_H
#define HANDOFFD_POOL_QUEUE_H

#include "list.h"
#include "task.h"

#include <stdbool.h>
#include <stdint.h>

enum pool_discipline {
    POOL_FIFO,       /* first come, first served */
    POOL_FAIR,       /* turn by turn between the lanes */
    POOL_CODEL_LIFO, /* first come, first served; while overloaded the newest first */
};

struct pool_queue_settings {
    enum pool_discipline discipline;
    int64_t codel_target_ns; /* longest wait while overloaded */
    int64_t codel_window_ns; /* a backlog that lasts as long is an overload */
};

/* What waits in one lane, and how much of it may run. */
struct lane_queue {
    unsigned concurrency; /* at most so many run; 0: no cap */
    unsigned running;
    struct list ready;  /* task.in_lane, oldest first: may run as soon as there is a thread */
    struct list parked; /* task.in_lane, oldest first: would be one too many */
    unsigned n_ready;
    unsigned n_parked;
    struct list turn; /* in pool_queue.turns while something is ready */
    uint64_t served;  /* number of its last turn; the lowest is due first */
};

struct pool_queue {
    struct pool_queue_settings settings;
    struct task_list ready; /* of all lanes, in the order in which they became ready */
    unsigned n_parked;
    struct list turns; /* lanes with something ready, the one that waits longest for a turn first */
    unsigned n_turns;
    uint64_t turn;            /* number of the last one */
    int64_t backlog_since_ns; /* since when something has been ready all the time; 0: nothing is */
    int64_t overload_until_ns;
    int64_t recent_run_ns; /* how long runs take of late, as the pool knows */
};

void pool_queue_init(struct pool_queue *queue);
void lane_queue_init(struct lane_queue *lane);

/* Whether one more task of the lane would go past its cap. */
bool lane_queue_at_cap(const struct lane_queue *lane);

/* Takes a task in: it is ready, or parked while its lane is at its cap. */
void pool_queue_add(struct pool_queue *queue, struct lane_queue *lane, struct task *task,
                    int64_t now);

/* Takes out a task that waits. */
void pool_queue_remove(struct pool_queue *queue, struct lane_queue *lane, struct task *task);

/* After the lane has got room (a task of it ended or left, its cap has risen): readies what is
 * parked there and fits.  True: something has become ready. */
bool pool_queue_promote(struct pool_queue *queue, struct lane_queue *lane, int64_t now);

/* Whether the discipline gives up on this waiting task now; whoever asks takes it out then. */
bool pool_queue_gives_up(struct pool_queue *queue, const struct task *task, int64_t now);

/* The ready task that is to run next; it stays in the queue.  NULL: none. */
struct task *pool_queue_next(struct pool_queue *queue, int64_t now);

/* The task is taken out to run: its lane has had its turn. */
void pool_queue_start(struct pool_queue *queue, struct lane_queue *lane, struct task *task);

/* A ready task that the discipline gives up, because it has waited for too long in an overload; it
 * stays in the queue.  NULL: none. */
struct task *pool_queue_late(struct pool_queue *queue, int64_t now);

/* When the discipline will give up on this waiting task at the earliest; INT64_MAX: never. */
int64_t pool_queue_deadline(struct pool_queue *queue, const struct task *task, int64_t now);

#endif
