#include "crew.h"

#include "clock.h"
#include "list.h"

struct crew crew = {
    .gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};

static void pass_gate(void)
{
    struct gate *gate = &crew.gate;

    pthread_mutex_lock(&gate->lock);
    gate->inside++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->passes)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->passes--;
    gate->inside--;
    pthread_mutex_unlock(&gate->lock);
}

static struct job *job_of(struct task *task)
{
    return container_of(task, struct job, task);
}

void crew_run_nothing(struct task *task)
{
    job_of(task)->rank = ++crew.started;
}

static void run_gated(struct task *task)
{
    crew_run_nothing(task);
    pass_gate();
}

void crew_run_sleeping(struct task *task)
{
    crew_run_nothing(task);
    pass_gate();
    job_of(task)->slept = task_sleep_until(task, clock_now_ns() + 3600 * NS_PER_SEC);
}

static void take_back(struct mail *mail)
{
    ck_assert_uint_lt(crew.n_delivered, CREW_JOBS);
    crew.delivered[crew.n_delivered++] = job_of(container_of(mail, struct task, done));
}

static void note_ended(void *arg)
{
    struct pool_stats stats;

    ck_assert_ptr_eq(arg, &crew);
    pool_get_stats(crew.pool, &stats); /* would hang if the pool's lock were held */
    pthread_mutex_lock(&crew.gate.lock);
    crew.ended_threads++;
    pthread_cond_broadcast(&crew.gate.changed);
    pthread_mutex_unlock(&crew.gate.lock);
}

void crew_wait_ended(unsigned count)
{
    pthread_mutex_lock(&crew.gate.lock);
    while (crew.ended_threads < count)
        pthread_cond_wait(&crew.gate.changed, &crew.gate.lock);
    pthread_mutex_unlock(&crew.gate.lock);
}

int crew_configure(unsigned threads, unsigned depth, bool on_demand, size_t stack_size)
{
    return pool_configure(crew.pool, &(struct pool_settings){.threads = threads,
                                                             .queue_depth = depth,
                                                             .on_demand = on_demand,
                                                             .stack_size = stack_size});
}

void crew_begin(unsigned threads, unsigned depth, bool on_demand)
{
    ck_assert_int_eq(mailbox_init(&crew.box), 0);
    crew.pool = pool_new("crew", note_ended, &crew);
    ck_assert_ptr_nonnull(crew.pool);
    for (unsigned i = 0; i < CREW_JOBS; i++)
        crew.jobs[i] = (struct job){
            .task = {.done = {.deliver = take_back}, .reply_to = &crew.box, .run = run_gated},
            .number = i};
    if (threads)
        ck_assert_int_eq(crew_configure(threads, depth, on_demand, CREW_STACK), 0);
}

void crew_end(void)
{
    crew_end_with(NULL, NULL);
}

void crew_end_with(struct lane *a, struct lane *b)
{
    struct pool_stats stats;

    pool_stop(crew.pool);
    pool_join(crew.pool);
    crew_deliver(0);
    stats = crew_stats();
    ck_assert_uint_eq(stats.active, 0);
    ck_assert_uint_eq(stats.books.queued, 0);
    ck_assert_uint_eq(stats.busy, 0);
    ck_assert_uint_eq(pool_reap(crew.pool), 0);
    lane_unref(a);
    lane_unref(b);
    pool_unref(crew.pool);
    mailbox_close(&crew.box);
}

int crew_submit_batch(unsigned first, unsigned count, unsigned refused, enum task_end reason)
{
    struct task_list batch = {0}, back;
    int r;

    for (unsigned i = 0; i < count; i++)
        task_list_add(&batch, &crew.jobs[first + i].task);
    r = pool_submit(crew.pool, &batch, &back);
    ck_assert_uint_eq(batch.count, 0);
    ck_assert_ptr_null(batch.first);
    ck_assert_uint_eq(back.count, refused);
    for (unsigned i = count - refused; i < count; i++) {
        struct task *task = task_list_pop(&back);

        ck_assert_ptr_eq(task, &crew.jobs[first + i].task);
        ck_assert_int_eq(task->end, reason);
        ck_assert_int_eq(task->started_ns, 0);
    }
    return r;
}

void crew_submit(unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(crew_submit_batch(first + i, 1, 0, TASK_RAN), 0);
}

void crew_wait_inside(unsigned count)
{
    struct gate *gate = &crew.gate;

    pthread_mutex_lock(&gate->lock);
    while (gate->inside < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    ck_assert_uint_eq(gate->inside, count);
    pthread_mutex_unlock(&gate->lock);
}

void crew_open(unsigned count)
{
    struct gate *gate = &crew.gate;

    pthread_mutex_lock(&gate->lock);
    gate->passes += count;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void crew_release(unsigned count)
{
    crew_open(count);
    crew_deliver(count);
}

void crew_deliver(size_t count)
{
    support_deliver(&crew.box, count);
}

void crew_check_books(const struct pool_stats *stats)
{
    uint64_t sum = stats->books.ran + stats->books.queued + stats->busy;

    for (int i = TASK_RAN + 1; i < TASK_END_COUNT; i++)
        sum += stats->books.refused[i];
    ck_assert_uint_eq(stats->books.submitted, sum);
    ck_assert_uint_le(stats->busy, stats->active);
    ck_assert_uint_eq(stats->idle, stats->active - stats->busy);
    ck_assert_uint_eq(stats->available,
                      stats->threads > stats->busy ? stats->threads - stats->busy : 0);
    ck_assert_uint_ge(stats->highest_busy, stats->busy);
    ck_assert(stats->books.queued || !stats->oldest_wait_ns);
}

struct pool_stats crew_stats(void)
{
    struct pool_stats stats;

    pool_get_stats(crew.pool, &stats);
    crew_check_books(&stats);
    return stats;
}
