/* DESIGN
 *
 * One mutex guards a pool: its queue, its books and its list of idle workers.  It is a leaf: nothing
 * else is locked and nothing is called while it is held.  A batch of tasks goes in under one lock and
 * with one wake-up; pool_worker.c tells what happens then, pool_queue.c in which order.
 *
 * The pool has no timer.  A thread that takes a task turns out those that wait too long; for the rest
 * submitters look by pool_look when the time has come, so that a deadline holds even while every
 * thread is stuck. */
#include "pool.h"

#include "clock.h"
#include "pool_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pool *pool_new(const char *name, void (*ended)(void *arg), void *arg)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pool->name = strdup(name);
    if (!pool->name) {
        free(pool);
        return NULL;
    }
    atomic_init(&pool->refs, 1);
    pool->on_end = ended;
    pool->on_end_arg = arg;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->all_ended, NULL);
    pool_queue_init(&pool->queue);
    list_init(&pool->workers);
    list_init(&pool->ended);
    list_init(&pool->idle);
    list_init(&pool->lanes);
    lane_init(&pool->rest, pool, NULL);
    list_add_tail(&pool->lanes, &pool->rest.link);
    return pool;
}

struct pool *pool_ref(struct pool *pool)
{
    atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

void pool_unref(struct pool *pool)
{
    if (!pool || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) > 1)
        return;
    assert(list_empty(&pool->workers) && list_empty(&pool->ended) && !pool->books.queued);
    pthread_cond_destroy(&pool->all_ended);
    pthread_mutex_destroy(&pool->lock);
    free(pool->name);
    free(pool);
}

const char *pool_name(const struct pool *pool)
{
    return pool->name;
}

void pool_post(struct task *task)
{
    if (task)
        mailbox_post(task->reply_to, &task->done);
}

void pool_post_all(struct task_list *tasks)
{
    struct task *task;

    while ((task = task_list_pop(tasks)))
        pool_post(task);
}

/* ---- configuring ----------------------------------------------------------------------------- */

/* Those that leave, and the others if their idling has another end now. */
static void call_for_change(struct pool *pool, const struct pool_settings *before,
                            struct list *called)
{
    const struct pool_settings *now = &pool->settings;
    bool idle_differs = before->idle_ns != now->idle_ns || before->on_demand != now->on_demand;

    list_init(called);
    if (pool->n_active > now->threads)
        worker_call_idle(pool, pool->n_active - now->threads, true, called);
    if (idle_differs)
        worker_call_idle(pool, pool->n_idle, false, called);
}

int pool_configure(struct pool *pool, const struct pool_settings *settings)
{
    struct pool_settings before;
    struct list called;
    int r = 0, wanted;

    pthread_mutex_lock(&pool->lock);
    before = pool->settings;
    pool->settings = *settings;
    pool->queue.settings = settings->queue;
    while (!r && !settings->on_demand && pool->n_active < pool->settings.threads)
        r = worker_add(pool);
    call_for_change(pool, &before, &called);
    pthread_mutex_unlock(&pool->lock);
    worker_wake_all(&called);
    wanted = worker_add_wanted(pool);
    return r ? r : wanted;
}

void pool_get_settings(struct pool *pool, struct pool_settings *out)
{
    pthread_mutex_lock(&pool->lock);
    *out = pool->settings;
    pthread_mutex_unlock(&pool->lock);
}

/* ---- submitting ------------------------------------------------------------------------------ */

unsigned pool_unused_threads(const struct pool *pool)
{
    unsigned threads = pool->settings.threads, running = pool->books.running;

    return threads > running ? threads - running : 0;
}

/* Whether a task may come in: TASK_RAN, or why not. */
static enum task_end admit(const struct pool *pool, const struct task *task)
{
    const struct lane *lane = task->lane;
    uint64_t unused = pool_unused_threads(pool);

    if (pool->stopping)
        return TASK_DRAINING;
    if (task->queue_budget_ns && books_expected_wait_ns(pool, lane) > task->queue_budget_ns)
        return TASK_QUEUE_TIMEOUT;
    if (lane_queue_at_cap(&lane->queue))
        return lane->queue.n_parked < lane->max_queue ? TASK_RAN : TASK_ROUTE_FULL;
    if (pool->queue.ready.count >= pool->settings.queue_depth + unused)
        return TASK_QUEUE_FULL;
    if (!lane->queue.concurrency && lane->queue.n_ready >= lane->max_queue + unused)
        return TASK_ROUTE_FULL;
    return TASK_RAN;
}

static void submit_one(struct pool *pool, struct task *task, int64_t now, struct task_list *refused)
{
    enum task_end reason;

    if (!task->lane)
        task->lane = &pool->rest;
    task->submitted_ns = now;
    task->started_ns = task->finished_ns = 0;
    task->result = TASK_RESULT_OK;
    task->timed_out = false;
    task->children_cpu_ns = 0;
    reason = admit(pool, task);
    if (reason == TASK_RAN)
        pool_queue_add(&pool->queue, &task->lane->queue, task, now);
    books_note_submitted(pool, task);
    if (reason != TASK_RAN) {
        books_note_refused(pool, task, reason);
        task_list_add(refused, task);
    }
    books_check(task->lane);
}

int pool_submit(struct pool *pool, struct task_list *batch, struct task_list *refused)
{
    int64_t now = clock_now_ns();
    struct worker *next;
    struct task *task;
    bool more;

    *refused = (struct task_list){0};
    pthread_mutex_lock(&pool->lock);
    while ((task = task_list_pop(batch)))
        submit_one(pool, task, now, refused);
    next = worker_choose(pool);
    more = worker_is_wanted(pool);
    pthread_mutex_unlock(&pool->lock);
    worker_wake(next);
    return more ? worker_add_wanted(pool) : 0;
}

/* ---- turning out ----------------------------------------------------------------------------- */

/* Takes a waiting task out; what was parked behind it may move up. */
static void drop(struct pool *pool, struct task *task, enum task_end reason, int64_t now)
{
    struct lane *lane = task->lane;

    pool_queue_remove(&pool->queue, &lane->queue, task);
    pool->books.queued--;
    lane->books.queued--;
    books_note_refused(pool, task, reason);
    pool_queue_promote(&pool->queue, &lane->queue, now);
    books_check(lane);
}

void pool_turn_out(struct pool *pool, struct task *task, enum task_end reason, int64_t now,
                   struct task_list *out)
{
    drop(pool, task, reason, now);
    task_list_add(out, task);
}

static bool waits(const struct task *task)
{
    return task->state == TASK_READY || task->state == TASK_PARKED;
}

bool pool_withdraw(struct pool *pool, struct task *task)
{
    int64_t now = clock_now_ns();
    bool waiting;

    pthread_mutex_lock(&pool->lock);
    waiting = waits(task);
    if (waiting)
        drop(pool, task, TASK_CLIENT_GONE, now);
    else if (task->state == TASK_RUNNING)
        task_cancel(task);
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum pool_verdict look_at_waiting(struct pool *pool, struct task *task, int64_t now,
                                         int64_t *again)
{
    int64_t own = task->queue_timeout_ns ? task->submitted_ns + task->queue_timeout_ns : INT64_MAX;

    if (now >= own || pool_queue_gives_up(&pool->queue, task, now)) {
        drop(pool, task, TASK_QUEUE_TIMEOUT, now);
        return POOL_WAITED;
    }
    *again = sooner(own, pool_queue_deadline(&pool->queue, task, now));
    /* It may start at any moment, and then its run is limited. */
    if (task->run_timeout_ns)
        *again = sooner(*again, now + task->run_timeout_ns);
    return POOL_GOES_ON;
}

static enum pool_verdict look_at_running(struct task *task, int64_t now, int64_t *again)
{
    if (!task->run_timeout_ns || task->timed_out)
        return POOL_GOES_ON;
    if (now < task->started_ns + task->run_timeout_ns) {
        *again = task->started_ns + task->run_timeout_ns;
        return POOL_GOES_ON;
    }
    task->timed_out = true;
    task_cancel(task);
    return POOL_TIMED_OUT;
}

enum pool_verdict pool_look(struct pool *pool, struct task *task, int64_t now, int64_t *again)
{
    enum pool_verdict verdict = POOL_GOES_ON;

    *again = INT64_MAX;
    pthread_mutex_lock(&pool->lock);
    if (waits(task))
        verdict = look_at_waiting(pool, task, now, again);
    else if (task->state == TASK_RUNNING)
        verdict = look_at_running(task, now, again);
    pthread_mutex_unlock(&pool->lock);
    return verdict;
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void turn_out_parked(struct pool *pool, struct lane *lane, struct task_list *refused,
                            int64_t now)
{
    while (lane->queue.n_parked)
        pool_turn_out(pool, container_of(lane->queue.parked.next, struct task, in_lane),
                      TASK_DRAINING, now, refused);
}

void pool_refuse_queued(struct pool *pool)
{
    struct task_list refused = {0};
    int64_t now = clock_now_ns();
    struct list *link;

    pthread_mutex_lock(&pool->lock);
    list_for_each(link, &pool->lanes)
        turn_out_parked(pool, container_of(link, struct lane, link), &refused, now);
    while (pool->queue.ready.count)
        pool_turn_out(pool, pool->queue.ready.first, TASK_DRAINING, now, &refused);
    pthread_mutex_unlock(&pool->lock);
    pool_post_all(&refused);
}

void pool_cancel_running(struct pool *pool)
{
    struct list *link;

    pthread_mutex_lock(&pool->lock);
    list_for_each(link, &pool->workers) {
        struct worker *worker = container_of(link, struct worker, link);

        if (worker->current)
            task_cancel(worker->current);
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_stop(struct pool *pool)
{
    struct list leaving;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    list_init(&leaving);
    if (!pool->books.queued)
        worker_call_idle(pool, pool->n_idle, true, &leaving);
    pthread_mutex_unlock(&pool->lock);
    worker_wake_all(&leaving);
}

unsigned pool_reap(struct pool *pool)
{
    unsigned left;

    pthread_mutex_lock(&pool->lock);
    left = worker_join_ended(pool);
    pthread_mutex_unlock(&pool->lock);
    return left;
}

void pool_join(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (worker_join_ended(pool))
        pthread_cond_wait(&pool->all_ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
