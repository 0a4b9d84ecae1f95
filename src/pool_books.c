/* The numbers of a pool and its lanes: every task is in exactly one state, in both. */
#include "pool_private.h"

#include "clock.h"

#include <assert.h>
#include <string.h>

enum { RECENT_TASKS = 64 }; /* what the moving average of run times spans, about */

static bool waits(const struct task *task)
{
    return task->state == TASK_READY || task->state == TASK_PARKED;
}

void books_note_submitted(struct pool *pool, struct task *task)
{
    pool->books.submitted++;
    task->lane->books.submitted++;
    if (!waits(task))
        return;
    pool->books.queued++;
    task->lane->books.queued++;
}

void books_note_refused(struct pool *pool, struct task *task, enum task_end reason)
{
    task->end = reason;
    pool->books.refused[reason]++;
    task->lane->books.refused[reason]++;
}

void books_note_started(struct pool *pool, struct task *task)
{
    pool->books.queued--;
    task->lane->books.queued--;
    pool->books.running++;
    task->lane->books.running++;
    if (pool->books.running > pool->highest_busy)
        pool->highest_busy = pool->books.running;
}

static void add_run(struct pool_books *books, const struct task *task)
{
    int64_t run_ns = task->finished_ns - task->started_ns;
    int64_t span = books->ran < RECENT_TASKS ? (int64_t)books->ran + 1 : RECENT_TASKS;

    books->running--;
    books->ran++;
    books->results[task->result]++;
    books->wait_ns += (uint64_t)(task->started_ns - task->submitted_ns);
    books->run_ns += (uint64_t)run_ns;
    books->recent_run_ns += (run_ns - books->recent_run_ns) / span;
}

void books_note_ran(struct pool *pool, struct task *task)
{
    task->end = TASK_RAN;
    if (task->timed_out)
        task->result = TASK_RESULT_TIMEOUT;
    add_run(&pool->books, task);
    add_run(&task->lane->books, task);
    pool->queue.recent_run_ns = pool->books.recent_run_ns;
    pool->cpu_ns += task->children_cpu_ns;
}

#ifndef NDEBUG
static void check(const struct pool_books *books)
{
    uint64_t ran = 0, sum = books->ran + books->queued + books->running;

    for (int i = 0; i < TASK_RESULT_COUNT; i++)
        ran += books->results[i];
    for (int i = TASK_RAN + 1; i < TASK_END_COUNT; i++)
        sum += books->refused[i];
    assert(ran == books->ran);
    assert(sum == books->submitted);
}

static void check_lane(const struct lane *lane)
{
    check(&lane->books);
    assert(lane->books.queued == lane->queue.n_ready + lane->queue.n_parked);
    assert(lane->books.running == lane->queue.running);
}
#endif

void books_check(const struct lane *lane)
{
#ifndef NDEBUG
    const struct pool *pool = lane->pool;

    check(&pool->books);
    assert(pool->books.queued == pool->queue.ready.count + pool->queue.n_parked);
    check_lane(lane);
#else
    (void)lane;
#endif
}

/* ---- what is to be expected ------------------------------------------------------------------ */

/* How long `before` tasks take, `at_once` of them at a time. */
static double rounds_ns(const struct pool_books *books, uint64_t before, unsigned at_once)
{
    return (double)books->recent_run_ns * (double)before / (double)(at_once ? at_once : 1);
}

int64_t books_expected_wait_ns(const struct pool *pool, const struct lane *lane)
{
    const struct pool_queue *queue = &pool->queue;
    unsigned unused = pool_unused_threads(pool), waiting = queue->ready.count;
    double for_thread = 0, for_cap = 0;

    if (waiting >= unused) {
        uint64_t before = waiting - unused + 1;

        /* Between lanes that take turns, only their first ones come before this lane's next. */
        if (queue->settings.discipline == POOL_FAIR) {
            uint64_t in_turn = (uint64_t)(lane->queue.n_ready + 1) * (queue->n_turns + 1);

            before = in_turn < before ? in_turn : before;
        }
        for_thread = rounds_ns(&pool->books, before, pool->settings.threads);
    }
    if (lane_queue_at_cap(&lane->queue))
        for_cap = rounds_ns(&lane->books, lane->queue.n_parked + 1, lane->queue.concurrency);
    return (int64_t)(for_thread > for_cap ? for_thread : for_cap);
}

/* ---- numbers for others ---------------------------------------------------------------------- */

static int64_t oldest_in(const struct list *tasks, int64_t oldest)
{
    const struct task *first;

    if (list_empty(tasks))
        return oldest;
    first = container_of(tasks->next, struct task, in_lane);
    return first->submitted_ns < oldest ? first->submitted_ns : oldest;
}

/* Within a lane tasks wait in the order in which they came. */
static int64_t oldest_submitted(const struct pool *pool)
{
    int64_t oldest = INT64_MAX;
    struct list *link;

    list_for_each(link, &pool->lanes) {
        const struct lane *lane = container_of(link, struct lane, link);

        oldest = oldest_in(&lane->queue.ready, oldest_in(&lane->queue.parked, oldest));
    }
    return oldest;
}

void pool_get_stats(struct pool *pool, struct pool_stats *out)
{
    int64_t now = clock_now_ns(), oldest;
    unsigned busy;

    pthread_mutex_lock(&pool->lock);
    busy = pool->books.running;
    oldest = oldest_submitted(pool);
    *out = (struct pool_stats){
        .threads = pool->settings.threads,
        .active = pool->n_active,
        .busy = busy,
        .idle = pool->n_active > busy ? pool->n_active - busy : 0,
        .available = pool->settings.threads > busy ? pool->settings.threads - busy : 0,
        .queue_depth = pool->settings.queue_depth,
        .parked = pool->queue.n_parked,
        .oldest_wait_ns = oldest < now ? now - oldest : 0,
        .highest_busy = pool->highest_busy,
        .expected_wait_ns = books_expected_wait_ns(pool, &pool->rest),
        .books = pool->books,
    };
    pthread_mutex_unlock(&pool->lock);
}

void lane_get_stats(struct lane *lane, struct lane_stats *out)
{
    struct pool *pool = lane->pool;

    pthread_mutex_lock(&pool->lock);
    *out = (struct lane_stats){
        .settings = {.concurrency = lane->queue.concurrency, .max_queue = lane->max_queue},
        .expected_wait_ns = books_expected_wait_ns(pool, lane),
        .books = lane->books,
    };
    pthread_mutex_unlock(&pool->lock);
}

/* Only threads that have done something since are asked about: each costs a system call. */
static void read_cpu(struct worker *worker)
{
    struct timespec used;
    clockid_t clock;

    if (!worker->arrived || pthread_getcpuclockid(worker->thread, &clock) ||
        clock_gettime(clock, &used))
        return;
    worker->cpu_ns = used.tv_sec * NS_PER_SEC + used.tv_nsec;
    worker->has_run = false;
}

int64_t pool_cpu_ns(struct pool *pool)
{
    struct list *link;
    int64_t sum;

    pthread_mutex_lock(&pool->lock);
    sum = pool->cpu_ns;
    list_for_each(link, &pool->workers) {
        struct worker *worker = container_of(link, struct worker, link);

        if (worker->has_run || worker->current)
            read_cpu(worker);
        sum += worker->cpu_ns;
    }
    pthread_mutex_unlock(&pool->lock);
    return sum;
}
