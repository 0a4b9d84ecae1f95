/* DESIGN
 *
 * One mutex guards a pool: its queue, its books and the stack of idle workers.  It is a leaf: nothing
 * else is locked and nothing is called while it is held.
 *
 * Hand-over.  A batch of tasks goes in under one lock.  At most one worker is being woken at any
 * time; when it arrives it takes a task and wakes the next one if there is more to do.  The waker
 * thus never pays for more than one futex(2) call, and a short burst is often eaten by the first
 * worker before a second wakes up in vain.  The last worker that went idle is woken first: its
 * stack and caches are warm.  The rule that makes this safe: whenever a task waits and a worker is
 * idle, a wake-up is on its way.
 *
 * A worker that has finished a task settles the books and takes the next task in the same critical
 * section, and only then posts the finished one: whoever gets an answer finds the books up to date.
 *
 * Threads.  `active` counts workers that have not decided to leave.  A worker leaves when there are
 * more than `threads`, or when the pool stops and the queue is empty; it moves itself to `ended`,
 * from where pool_reap joins it. */
#include "pool.h"

#include "clock.h"
#include "futex.h"
#include "list.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct list link;          /* in pool->workers or pool->ended */
    struct worker *idle_below; /* on the idle stack */
    struct pool *pool;
    struct task *current; /* guarded by the pool's lock */
    pthread_t thread;
    unsigned number;
    bool leave;            /* guarded by the pool's lock until `wake` is set */
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
    struct task_list queue;
    struct worker *idle; /* a stack */
    unsigned n_idle;
    unsigned n_waking;   /* woken for work, not arrived yet */
    unsigned n_starting; /* created, not arrived yet */
    unsigned n_active;
    unsigned n_running;
    unsigned next_number;
    bool stopping;
    struct list workers;
    struct list ended;

    uint64_t submitted, ran, refused[TASK_END_COUNT];
    uint64_t wait_ns, run_ns;
    unsigned highest_busy;
};

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
    list_init(&pool->workers);
    list_init(&pool->ended);
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
    assert(list_empty(&pool->workers) && list_empty(&pool->ended) && !pool->queue.count);
    pthread_cond_destroy(&pool->all_ended);
    pthread_mutex_destroy(&pool->lock);
    free(pool->name);
    free(pool);
}

const char *pool_name(const struct pool *pool)
{
    return pool->name;
}

/* In the debug build the books are checked at every change. */
static void check_books(const struct pool *pool)
{
#ifndef NDEBUG
    uint64_t sum = pool->ran + pool->queue.count + pool->n_running;

    for (int i = TASK_RAN + 1; i < TASK_END_COUNT; i++)
        sum += pool->refused[i];
    assert(sum == pool->submitted);
#else
    (void)pool;
#endif
}

/* ---- wake-ups -------------------------------------------------------------------------------- */

/* The idle worker to wake now, if there is work for one and no other is on its way. */
static struct worker *choose_wake(struct pool *pool)
{
    struct worker *worker = pool->idle;

    if (!worker || !pool->queue.count || pool->n_waking)
        return NULL;
    pool->idle = worker->idle_below;
    pool->n_idle--;
    pool->n_waking++;
    return worker;
}

static void wake(struct worker *worker)
{
    if (!worker)
        return;
    atomic_store_explicit(&worker->wake, 1, memory_order_release);
    futex_wake(&worker->wake);
}

/* Takes up to `count` idle workers off the stack to send them home; wake_leaving does so. */
static struct worker *dismiss_idle(struct pool *pool, unsigned count)
{
    struct worker *leaving = NULL;

    for (; count && pool->idle; count--) {
        struct worker *worker = pool->idle;

        pool->idle = worker->idle_below;
        pool->n_idle--;
        pool->n_active--;
        worker->leave = true;
        worker->idle_below = leaving;
        leaving = worker;
    }
    return leaving;
}

static void wake_leaving(struct worker *leaving)
{
    while (leaving) {
        struct worker *next = leaving->idle_below;

        wake(leaving);
        leaving = next;
    }
}

/* ---- workers --------------------------------------------------------------------------------- */

static void settle(struct worker *worker, const struct task *task)
{
    struct pool *pool = worker->pool;

    worker->current->state = TASK_IDLE;
    worker->current = NULL;
    pool->n_running--;
    pool->ran++;
    pool->wait_ns += (uint64_t)(task->started_ns - task->submitted_ns);
    pool->run_ns += (uint64_t)(task->finished_ns - task->started_ns);
    check_books(pool);
}

static void post(struct task *task)
{
    if (task)
        mailbox_post(task->reply_to, &task->done);
}

/* Called and left with the lock held.  The worker sleeps; returns once it has been woken. */
static void go_idle(struct worker *worker, struct task *finished)
{
    struct pool *pool = worker->pool;

    atomic_store_explicit(&worker->wake, 0, memory_order_relaxed);
    worker->idle_below = pool->idle;
    pool->idle = worker;
    pool->n_idle++;
    pthread_mutex_unlock(&pool->lock);
    post(finished);
    while (!atomic_load_explicit(&worker->wake, memory_order_acquire))
        futex_wait(&worker->wake, 0, NULL);
    pthread_mutex_lock(&pool->lock);
    if (!worker->leave)
        pool->n_waking--;
}

static bool should_leave(struct worker *worker)
{
    struct pool *pool = worker->pool;

    if (worker->leave)
        return true;
    if (pool->n_active <= pool->settings.threads && !(pool->stopping && !pool->queue.count))
        return false;
    pool->n_active--;
    return true;
}

static void run_task(struct task *task)
{
    task->started_ns = clock_now_ns();
    task->run(task);
    task->finished_ns = clock_now_ns();
    task->end = TASK_RAN;
}

/* Called with the lock held and a task in hand; returns with the lock held, the task run. */
static void work(struct worker *worker, struct task *task, struct task *finished)
{
    struct pool *pool = worker->pool;
    struct worker *next;

    worker->current = task;
    task->state = TASK_RUNNING;
    pool->n_running++;
    if (pool->n_running > pool->highest_busy)
        pool->highest_busy = pool->n_running;
    next = choose_wake(pool);
    pthread_mutex_unlock(&pool->lock);
    post(finished);
    wake(next);
    run_task(task);
    pthread_mutex_lock(&pool->lock);
    settle(worker, task);
}

static void name_thread(const struct worker *worker)
{
    char name[16]; /* the kernel's limit, pthread_setname_np(3) */

    snprintf(name, sizeof name, "%.10s/%u", worker->pool->name, worker->number % 10000);
    pthread_setname_np(pthread_self(), name);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg, *next, *leaving = NULL;
    struct pool *pool = worker->pool;
    struct task *finished = NULL, *task;

    name_thread(worker);
    pthread_mutex_lock(&pool->lock);
    worker->thread = pthread_self();
    pool->n_starting--;
    while (!should_leave(worker)) {
        task = task_list_pop(&pool->queue);
        if (task)
            work(worker, task, finished);
        else
            go_idle(worker, finished);
        finished = task;
    }
    next = choose_wake(pool);
    /* The last task of a stopping pool sends those home who never had one. */
    if (pool->stopping && !pool->queue.count)
        leaving = dismiss_idle(pool, pool->n_idle);
    list_remove(&worker->link);
    list_add_tail(&pool->ended, &worker->link);
    if (list_empty(&pool->workers))
        pthread_cond_signal(&pool->all_ended);
    pthread_mutex_unlock(&pool->lock);
    /* The pool outlives this: it cannot be freed before this thread is joined. */
    post(finished);
    wake(next);
    wake_leaving(leaving);
    if (pool->on_end)
        pool->on_end(pool->on_end_arg);
    return NULL;
}

static int create_thread(struct worker *worker, size_t stack_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), least = (size_t)PTHREAD_STACK_MIN;
    pthread_attr_t attr;
    pthread_t thread; /* the worker notes its own: it may be joined before this returns */
    int r = pthread_attr_init(&attr);

    if (r)
        return -r;
    stack_size = ((stack_size < least ? least : stack_size) + page - 1) / page * page;
    r = pthread_attr_setstacksize(&attr, stack_size);
    if (!r)
        r = pthread_create(&thread, &attr, worker_main, worker);
    pthread_attr_destroy(&attr);
    return -r;
}

/* Called with the lock held, which it lets go meanwhile.  Makes one more thread.  0 or -errno. */
static int add_worker(struct pool *pool)
{
    struct worker *worker = calloc(1, sizeof *worker);
    size_t stack_size = pool->settings.stack_size;
    int r;

    if (!worker)
        return -ENOMEM;
    worker->pool = pool;
    worker->number = pool->next_number++;
    list_add_tail(&pool->workers, &worker->link);
    pool->n_active++;
    pool->n_starting++;
    pthread_mutex_unlock(&pool->lock);
    r = create_thread(worker, stack_size);
    pthread_mutex_lock(&pool->lock);
    if (!r)
        return 0;
    list_remove(&worker->link);
    pool->n_active--;
    pool->n_starting--;
    free(worker);
    return r;
}

/* ---- configuring and submitting -------------------------------------------------------------- */

static void refuse(struct pool *pool, struct task *task, enum task_end reason,
                   struct task_list *refused)
{
    task->end = reason;
    task->state = TASK_IDLE;
    pool->refused[reason]++;
    task_list_add(refused, task);
}

/* Takes out what waits while there is no thread and none can be made: it would wait for ever.  The
 * tasks may be several submitters', so they go back by mail. */
static struct task_list take_stranded(struct pool *pool)
{
    struct task_list stranded = {0};

    while (!pool->n_active && pool->queue.count)
        refuse(pool, task_list_pop(&pool->queue), TASK_QUEUE_FULL, &stranded);
    check_books(pool);
    return stranded;
}

static void post_all(struct task_list *tasks)
{
    struct task *task;

    while ((task = task_list_pop(tasks)))
        post(task);
}

int pool_configure(struct pool *pool, const struct pool_settings *settings)
{
    struct task_list stranded = {0};
    struct worker *leaving = NULL;
    int r = 0;

    pthread_mutex_lock(&pool->lock);
    pool->settings = *settings;
    while (!r && !settings->on_demand && pool->n_active < pool->settings.threads)
        r = add_worker(pool);
    if (pool->n_active > pool->settings.threads)
        leaving = dismiss_idle(pool, pool->n_active - pool->settings.threads);
    if (r)
        stranded = take_stranded(pool);
    pthread_mutex_unlock(&pool->lock);
    wake_leaving(leaving);
    post_all(&stranded);
    return r;
}

void pool_get_settings(struct pool *pool, struct pool_settings *out)
{
    pthread_mutex_lock(&pool->lock);
    *out = pool->settings;
    pthread_mutex_unlock(&pool->lock);
}

static bool has_place(const struct pool *pool)
{
    unsigned threads = pool->settings.threads;
    unsigned unused = threads > pool->n_running ? threads - pool->n_running : 0;

    return !pool->stopping &&
           (uint64_t)pool->queue.count < (uint64_t)pool->settings.queue_depth + unused;
}

static bool wants_worker(const struct pool *pool)
{
    return pool->n_active < pool->settings.threads &&
           pool->queue.count > pool->n_idle + pool->n_waking + pool->n_starting;
}

/* Makes the threads that the waiting tasks want and the settings allow. */
static int add_wanted_workers(struct pool *pool)
{
    struct task_list stranded = {0};
    int r = 0;

    pthread_mutex_lock(&pool->lock);
    while (!r && wants_worker(pool))
        r = add_worker(pool);
    if (r)
        stranded = take_stranded(pool);
    pthread_mutex_unlock(&pool->lock);
    post_all(&stranded);
    return r;
}

int pool_submit(struct pool *pool, struct task_list *batch, struct task_list *refused)
{
    int64_t now = clock_now_ns();
    struct worker *next;
    struct task *task;
    bool more;

    *refused = (struct task_list){0};
    pthread_mutex_lock(&pool->lock);
    while ((task = task_list_pop(batch))) {
        task->submitted_ns = now;
        task->started_ns = task->finished_ns = 0;
        pool->submitted++;
        if (has_place(pool)) {
            task->state = TASK_QUEUED;
            task_list_add(&pool->queue, task);
        } else {
            refuse(pool, task, pool->stopping ? TASK_DRAINING : TASK_QUEUE_FULL, refused);
        }
    }
    check_books(pool);
    next = choose_wake(pool);
    more = wants_worker(pool);
    pthread_mutex_unlock(&pool->lock);
    wake(next);
    return more ? add_wanted_workers(pool) : 0;
}

bool pool_withdraw(struct pool *pool, struct task *task)
{
    bool queued;

    pthread_mutex_lock(&pool->lock);
    queued = task->state == TASK_QUEUED;
    if (queued) {
        task_list_remove(&pool->queue, task);
        task->end = TASK_CLIENT_GONE;
        task->state = TASK_IDLE;
        pool->refused[TASK_CLIENT_GONE]++;
    } else if (task->state == TASK_RUNNING) {
        task_cancel(task);
    }
    check_books(pool);
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

/* ---- stopping -------------------------------------------------------------------------------- */

void pool_refuse_queued(struct pool *pool)
{
    struct task_list refused = {0};
    struct task *task;

    pthread_mutex_lock(&pool->lock);
    while ((task = task_list_pop(&pool->queue)))
        refuse(pool, task, TASK_DRAINING, &refused);
    check_books(pool);
    pthread_mutex_unlock(&pool->lock);
    post_all(&refused);
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
    struct worker *leaving = NULL;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    if (!pool->queue.count)
        leaving = dismiss_idle(pool, pool->n_idle);
    pthread_mutex_unlock(&pool->lock);
    wake_leaving(leaving);
}

static unsigned join_ended(struct pool *pool)
{
    struct list *link;
    unsigned left = 0;

    while ((link = list_pop_head(&pool->ended))) {
        struct worker *worker = container_of(link, struct worker, link);

        pthread_mutex_unlock(&pool->lock);
        pthread_join(worker->thread, NULL);
        free(worker);
        pthread_mutex_lock(&pool->lock);
    }
    list_for_each(link, &pool->workers)
        left++;
    return left;
}

unsigned pool_reap(struct pool *pool)
{
    unsigned left;

    pthread_mutex_lock(&pool->lock);
    left = join_ended(pool);
    pthread_mutex_unlock(&pool->lock);
    return left;
}

void pool_join(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (join_ended(pool))
        pthread_cond_wait(&pool->all_ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pool_get_stats(struct pool *pool, struct pool_stats *out)
{
    int64_t now = clock_now_ns();

    pthread_mutex_lock(&pool->lock);
    *out = (struct pool_stats){
        .threads = pool->settings.threads,
        .active = pool->n_active,
        .busy = pool->n_running,
        .idle = pool->n_active > pool->n_running ? pool->n_active - pool->n_running : 0,
        .available =
            pool->settings.threads > pool->n_running ? pool->settings.threads - pool->n_running : 0,
        .queued = pool->queue.count,
        .queue_depth = pool->settings.queue_depth,
        .submitted = pool->submitted,
        .ran = pool->ran,
        .wait_ns = pool->wait_ns,
        .run_ns = pool->run_ns,
        .oldest_wait_ns = pool->queue.first ? now - pool->queue.first->submitted_ns : 0,
        .highest_busy = pool->highest_busy,
    };
    memcpy(out->refused, pool->refused, sizeof out->refused);
    pthread_mutex_unlock(&pool->lock);
}
