/* DESIGN
 *
 * The threads of a pool.
 *
 * Hand-over.  At most one worker is being woken at any time; when it arrives it takes a task and
 * wakes the next one if there is more to do.  Whoever submits thus never pays for more than one
 * futex(2) call, and a short burst is often eaten by the first worker before a second wakes up in
 * vain.  The last worker that went idle is woken first: its stack and caches are warm.  The rule that
 * makes this safe: whenever a task is ready and a worker is idle, a wake-up is on its way.
 *
 * A worker that has finished a task settles the books and takes the next task in the same critical
 * section, and only then posts the finished one: whoever gets an answer finds the books up to date.
 *
 * A worker leaves when there are more than `threads`, when it was idle for too long, or when the pool
 * stops and nothing is left; it moves itself to `ended`, from where it is joined. */
#include "pool_private.h"

#include "clock.h"
#include "futex.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* ---- wake-ups -------------------------------------------------------------------------------- */

static struct worker *pop_idle(struct pool *pool)
{
    struct list *link = list_pop_head(&pool->idle);

    if (!link)
        return NULL;
    pool->n_idle--;
    container_of(link, struct worker, idle)->called = true;
    return container_of(link, struct worker, idle);
}

struct worker *worker_choose(struct pool *pool)
{
    struct worker *worker;

    if (!pool->queue.ready.count || pool->n_waking)
        return NULL;
    worker = pop_idle(pool);
    if (worker)
        pool->n_waking++;
    return worker;
}

void worker_wake(struct worker *worker)
{
    if (!worker)
        return;
    atomic_store_explicit(&worker->wake, 1, memory_order_release);
    futex_wake(&worker->wake);
}

void worker_call_idle(struct pool *pool, unsigned count, bool leave, struct list *called)
{
    struct worker *worker;

    for (; count && (worker = pop_idle(pool)); count--) {
        worker->leave = leave;
        if (leave)
            pool->n_active--;
        else
            pool->n_waking++;
        list_add_tail(called, &worker->idle);
    }
}

void worker_wake_all(struct list *called)
{
    struct list *link;

    while ((link = list_pop_head(called)))
        worker_wake(container_of(link, struct worker, idle));
}

/* ---- idling ---------------------------------------------------------------------------------- */

/* Until when an idle worker of the pool waits; 0: for ever. */
static int64_t idle_until(const struct pool *pool, int64_t now)
{
    const struct pool_settings *settings = &pool->settings;

    return settings->on_demand && settings->idle_ns > 0 ? now + settings->idle_ns : 0;
}

/* Without the lock.  False: nobody has called by then. */
static bool wait_for_call(struct worker *worker, int64_t until_ns)
{
    struct timespec deadline = clock_to_timespec(until_ns);

    while (!atomic_load_explicit(&worker->wake, memory_order_acquire)) {
        if (until_ns && clock_now_ns() >= until_ns)
            return false;
        futex_wait(&worker->wake, 0, until_ns ? &deadline : NULL);
    }
    return true;
}

/* Whoever called sets `wake` without the lock, and that must be over before this worker can be called
 * again or end. */
static void take_call(struct worker *worker)
{
    struct pool *pool = worker->pool;

    if (!atomic_load_explicit(&worker->wake, memory_order_acquire)) {
        pthread_mutex_unlock(&pool->lock);
        wait_for_call(worker, 0);
        pthread_mutex_lock(&pool->lock);
    }
    if (!worker->leave)
        pool->n_waking--;
}

/* The worker sleeps; the lock is let go meanwhile.  `now` is brought up to date. */
static void go_idle(struct worker *worker, struct task *finished, int64_t *now)
{
    struct pool *pool = worker->pool;
    int64_t until = idle_until(pool, *now);

    atomic_store_explicit(&worker->wake, 0, memory_order_relaxed);
    worker->called = false;
    list_add_head(&pool->idle, &worker->idle);
    pool->n_idle++;
    pthread_mutex_unlock(&pool->lock);
    pool_post(finished);
    wait_for_call(worker, until);
    *now = clock_now_ns();
    pthread_mutex_lock(&pool->lock);
    if (worker->called) {
        take_call(worker);
        return;
    }
    list_remove(&worker->idle);
    pool->n_idle--;
    /* A task may have come just now for which another worker was woken, and more than one. */
    worker->leave = !pool->queue.ready.count && idle_until(pool, *now);
    if (worker->leave)
        pool->n_active--;
}

static bool should_leave(struct worker *worker, bool nothing_to_do)
{
    struct pool *pool = worker->pool;
    bool surplus = pool->n_active > pool->settings.threads;
    bool over = pool->stopping && !pool->books.queued;
    bool no_idling = pool->settings.on_demand && pool->settings.idle_ns == POOL_NO_IDLING;

    if (worker->leave)
        return true;
    if (!surplus && !over && !(no_idling && nothing_to_do))
        return false;
    pool->n_active--;
    return true;
}

/* ---- working --------------------------------------------------------------------------------- */

/* Takes out the task that is to run next and turns out those that have waited too long for it. */
static struct task *take(struct worker *worker, int64_t now, struct task_list *late)
{
    struct pool *pool = worker->pool;
    struct task *task;

    while ((task = pool_queue_late(&pool->queue, now)))
        pool_turn_out(pool, task, TASK_QUEUE_TIMEOUT, now, late);
    task = pool_queue_next(&pool->queue, now);
    if (!task)
        return NULL;
    pool_queue_start(&pool->queue, &task->lane->queue, task);
    /* It may have been submitted after this worker had looked at the clock. */
    task->started_ns = now > task->ready_ns ? now : task->ready_ns;
    books_note_started(pool, task);
    books_check(task->lane);
    worker->current = task;
    worker->has_run = true;
    return task;
}

static void settle(struct worker *worker, struct task *task)
{
    struct pool *pool = worker->pool;
    struct lane *lane = task->lane;

    worker->current = NULL;
    task->state = TASK_IDLE;
    lane->queue.running--;
    books_note_ran(pool, task);
    pool_queue_promote(&pool->queue, &lane->queue, task->finished_ns);
    books_check(lane);
}

/* The lock is let go meanwhile. */
static void run_task(struct worker *worker, struct task *task, struct task *finished,
                     struct task_list *late)
{
    struct pool *pool = worker->pool;
    struct worker *next = worker_choose(pool);

    pthread_mutex_unlock(&pool->lock);
    pool_post(finished);
    pool_post_all(late);
    worker_wake(next);
    task->run(task);
    task->finished_ns = clock_now_ns();
    if (task->finished_ns < task->started_ns)
        task->finished_ns = task->started_ns;
    pthread_mutex_lock(&pool->lock);
    settle(worker, task);
}

static void work(struct worker *worker)
{
    struct pool *pool = worker->pool;
    struct task *finished = NULL, *task;
    struct task_list late = {0};
    int64_t now = clock_now_ns();

    while (!should_leave(worker, false)) {
        task = take(worker, now, &late);
        if (task) {
            run_task(worker, task, finished, &late);
            now = task->finished_ns;
        } else if (late.count) {
            /* Mail first: who waits for it may be what there is to do next. */
            pthread_mutex_unlock(&pool->lock);
            pool_post_all(&late);
            pthread_mutex_lock(&pool->lock);
            continue;
        } else if (should_leave(worker, true)) {
            break;
        } else {
            go_idle(worker, finished, &now);
        }
        finished = task;
    }
    pthread_mutex_unlock(&pool->lock);
    pool_post(finished);
    pthread_mutex_lock(&pool->lock);
}

/* The kernel's threads have a nice value each, whatever POSIX says of processes (setpriority(2)). */
static void become(const struct worker *worker)
{
    char name[16]; /* the kernel's limit, pthread_setname_np(3) */

    snprintf(name, sizeof name, "%.10s/%u", worker->pool->name, worker->number % 10000);
    pthread_setname_np(pthread_self(), name);
    if (worker->nice)
        setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + worker->nice);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg, *next;
    struct pool *pool = worker->pool;
    struct list leaving;

    become(worker);
    pthread_mutex_lock(&pool->lock);
    worker->thread = pthread_self();
    worker->arrived = true;
    pool->n_starting--;
    work(worker);
    next = worker_choose(pool);
    list_init(&leaving);
    /* The last task of a stopping pool sends those home who never had one. */
    if (pool->stopping && !pool->books.queued)
        worker_call_idle(pool, pool->n_idle, true, &leaving);
    pool->cpu_ns += clock_thread_cpu_ns();
    list_remove(&worker->link);
    list_add_tail(&pool->ended, &worker->link);
    if (list_empty(&pool->workers))
        pthread_cond_signal(&pool->all_ended);
    pthread_mutex_unlock(&pool->lock);
    /* The pool outlives this: it cannot be freed before this thread is joined. */
    worker_wake(next);
    worker_wake_all(&leaving);
    if (pool->on_end)
        pool->on_end(pool->on_end_arg);
    return NULL;
}

/* ---- threads --------------------------------------------------------------------------------- */

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

int worker_add(struct pool *pool)
{
    struct worker *worker = calloc(1, sizeof *worker);
    size_t stack_size = pool->settings.stack_size;
    int r;

    if (!worker)
        return -ENOMEM;
    worker->pool = pool;
    worker->number = pool->next_number++;
    worker->nice = pool->settings.nice;
    list_init(&worker->idle);
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

bool worker_is_wanted(const struct pool *pool)
{
    return pool->n_active < pool->settings.threads &&
           pool->queue.ready.count > pool->n_idle + pool->n_waking + pool->n_starting;
}

/* Takes out what waits while there is no thread and none can be made: it would wait for ever.  The
 * tasks may be several submitters', so they go back by mail. */
static void turn_out_stranded(struct pool *pool, struct task_list *stranded)
{
    int64_t now = clock_now_ns();

    while (!pool->n_active && pool->queue.ready.count)
        pool_turn_out(pool, pool->queue.ready.first, TASK_QUEUE_FULL, now, stranded);
}

int worker_add_wanted(struct pool *pool)
{
    struct task_list stranded = {0};
    int r = 0;

    pthread_mutex_lock(&pool->lock);
    while (!r && worker_is_wanted(pool))
        r = worker_add(pool);
    if (r)
        turn_out_stranded(pool, &stranded);
    pthread_mutex_unlock(&pool->lock);
    pool_post_all(&stranded);
    return r;
}

unsigned worker_join_ended(struct pool *pool)
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
