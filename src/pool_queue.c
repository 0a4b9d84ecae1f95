/* DESIGN
 *
 * A ready task is in two lists: in the queue's, by the time at which it became ready, and in its
 * lane's.  Every discipline is a way to choose from these, so that it can be changed while tasks wait.
 *
 * Caps.  A lane's ready and running tasks together never pass its cap; what comes on top is parked in
 * the lane and becomes ready when one of them ends or leaves.  A task that cannot run is thus never
 * in anybody's way, and every ready one can run.
 *
 * fair.  Lanes with something ready take turns, the one whose last turn is the longest ago first.  A
 * lane that was idle comes in before those that have been served since its own last turn: a flood in
 * one lane delays a task of another by one task for each thread at most.
 *
 * codel-lifo.  Controlled delay as for packets (K. Nichols, V. Jacobson, "Controlling Queue Delay",
 * ACM Queue 10(5), 2012; RFC 8289) brought to requests with adaptive LIFO (B. Maurer, "Fail at Scale",
 * ACM Queue 13(8), 2015).  A queue that has something to absorb empties again soon; one that has not
 * been empty for a whole window is overloaded.  From then on a task may wait for no longer than the
 * target, and the newest runs first, since its client is the least likely to have given up.  The
 * overload is over when no task has been late for a window: a queue that was emptied by giving tasks
 * up has not recovered.  Threads that were all taken at about the same time become free at about the
 * same time, so that lateness comes and goes with the run time; hence the end waits for two of those
 * where they are longer. */
#include "pool_queue.h"

#include <stddef.h>

void pool_queue_init(struct pool_queue *queue)
{
    *queue = (struct pool_queue){0};
    list_init(&queue->turns);
}

void lane_queue_init(struct lane_queue *lane)
{
    *lane = (struct lane_queue){0};
    list_init(&lane->ready);
    list_init(&lane->parked);
    list_init(&lane->turn);
}

bool lane_queue_at_cap(const struct lane_queue *lane)
{
    return lane->concurrency && lane->running + lane->n_ready >= lane->concurrency;
}

static struct task *oldest(const struct list *tasks)
{
    return container_of(tasks->next, struct task, in_lane);
}

/* Puts a lane that has got something ready in line for its turn: behind those that have waited
 * longer. */
static void take_place(struct pool_queue *queue, struct lane_queue *lane)
{
    struct list *at = queue->turns.next;

    while (at != &queue->turns && container_of(at, struct lane_queue, turn)->served <= lane->served)
        at = at->next;
    list_insert_before(at, &lane->turn);
    queue->n_turns++;
}

static void add_ready(struct pool_queue *queue, struct lane_queue *lane, struct task *task,
                      int64_t now)
{
    task->state = TASK_READY;
    task->ready_ns = now;
    if (!queue->ready.count)
        queue->backlog_since_ns = now;
    task_list_add(&queue->ready, task);
    list_add_tail(&lane->ready, &task->in_lane);
    if (!lane->n_ready++)
        take_place(queue, lane);
}

static void remove_ready(struct pool_queue *queue, struct lane_queue *lane, struct task *task)
{
    task_list_remove(&queue->ready, task);
    list_remove(&task->in_lane);
    if (!queue->ready.count)
        queue->backlog_since_ns = 0;
    if (--lane->n_ready)
        return;
    list_remove(&lane->turn);
    queue->n_turns--;
}

void pool_queue_add(struct pool_queue *queue, struct lane_queue *lane, struct task *task,
                    int64_t now)
{
    if (!lane_queue_at_cap(lane)) {
        add_ready(queue, lane, task, now);
        return;
    }
    task->state = TASK_PARKED;
    list_add_tail(&lane->parked, &task->in_lane);
    lane->n_parked++;
    queue->n_parked++;
}

static void remove_parked(struct pool_queue *queue, struct lane_queue *lane, struct task *task)
{
    list_remove(&task->in_lane);
    lane->n_parked--;
    queue->n_parked--;
}

void pool_queue_remove(struct pool_queue *queue, struct lane_queue *lane, struct task *task)
{
    if (task->state == TASK_PARKED)
        remove_parked(queue, lane, task);
    else
        remove_ready(queue, lane, task);
    task->state = TASK_IDLE;
}

bool pool_queue_promote(struct pool_queue *queue, struct lane_queue *lane, int64_t now)
{
    bool any = false;

    for (; lane->n_parked && !lane_queue_at_cap(lane); any = true) {
        struct task *task = oldest(&lane->parked);

        remove_parked(queue, lane, task);
        add_ready(queue, lane, task, now);
    }
    return any;
}

void pool_queue_start(struct pool_queue *queue, struct lane_queue *lane, struct task *task)
{
    remove_ready(queue, lane, task);
    task->state = TASK_RUNNING;
    lane->running++;
    lane->served = ++queue->turn;
    if (lane->n_ready) {
        list_remove(&lane->turn);
        list_add_tail(&queue->turns, &lane->turn);
    }
}

/* ---- overload -------------------------------------------------------------------------------- */

static void extend_overload(struct pool_queue *queue, int64_t now)
{
    int64_t window = queue->settings.codel_window_ns, runs = 2 * queue->recent_run_ns;

    queue->overload_until_ns = now + (window > runs ? window : runs);
}

static bool is_overloaded(struct pool_queue *queue, int64_t now)
{
    int64_t window = queue->settings.codel_window_ns;

    if (queue->settings.discipline != POOL_CODEL_LIFO)
        return false;
    if (queue->backlog_since_ns && now - queue->backlog_since_ns >= window)
        extend_overload(queue, now);
    return now < queue->overload_until_ns;
}

struct task *pool_queue_late(struct pool_queue *queue, int64_t now)
{
    struct task *first = queue->ready.first;

    if (!first || !is_overloaded(queue, now) ||
        now - first->ready_ns <= queue->settings.codel_target_ns)
        return NULL;
    extend_overload(queue, now);
    return first;
}

int64_t pool_queue_deadline(struct pool_queue *queue, const struct task *task, int64_t now)
{
    const struct pool_queue_settings *settings = &queue->settings;
    int64_t target, overload;

    if (settings->discipline != POOL_CODEL_LIFO)
        return INT64_MAX;
    if (task->state != TASK_READY)
        return now + settings->codel_window_ns; /* it may be ready by then */
    target = task->ready_ns + settings->codel_target_ns + 1;
    if (is_overloaded(queue, now))
        return target;
    overload = queue->backlog_since_ns + settings->codel_window_ns;
    return target > overload ? target : overload;
}

bool pool_queue_gives_up(struct pool_queue *queue, const struct task *task, int64_t now)
{
    if (now < pool_queue_deadline(queue, task, now))
        return false;
    extend_overload(queue, now);
    return true;
}

struct task *pool_queue_next(struct pool_queue *queue, int64_t now)
{
    if (!queue->ready.count)
        return NULL;
    if (queue->settings.discipline == POOL_FAIR)
        return oldest(&container_of(queue->turns.next, struct lane_queue, turn)->ready);
    return is_overloaded(queue, now) ? queue->ready.last : queue->ready.first;
}
