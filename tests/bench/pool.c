/* The hand-over alone: from a loop to a thread of the pool and back, without HTTP.
 *
 *     pool [SECONDS [ROUNDS]]
 *
 * For each number of threads and loops the pool takes turns, round by round, with the plain way to do
 * the same: one mutex, one condition variable that each submit signals, and one eventfd write for each
 * task that is done.  Prints a Markdown table of medians.
 *
 * - tasks/s: 50 no-op tasks in flight for each loop, submitted again as they come back
 * - to start, to loop: one task in flight; from submit to its first instruction, and from its last
 *   instruction to the loop that gets it */
#include "clock.h"
#include "list.h"
#include "pool.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { IN_FLIGHT = 50, MAX_LOOPS = 2, MAX_SAMPLES = 200000, MAX_ROUNDS = 31 };

struct loop;

struct job {
    struct task task;
    struct loop *loop;
    int64_t submitted, started, finished;
    struct job *next; /* the plain way's queue and list */
};

/* ---- the plain way --------------------------------------------------------------------------- */

struct plain {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct job *first, **last;
    bool stopping;
    pthread_t threads[400];
    unsigned n_threads;
};

struct loop {
    pthread_t thread;
    struct pool *pool;
    struct plain *plain; /* NULL: the pool */
    struct mailbox box;
    int epoll;
    unsigned in_flight;
    struct job jobs[IN_FLIGHT];
    struct task_list again; /* came back in this turn */
    pthread_mutex_t lock;   /* guards `done`, of the plain way */
    struct job *done;
    int64_t until;
    uint64_t count;
    int32_t *to_start, *to_loop;
    size_t n_samples;
};

static void run_nothing(struct task *task)
{
    struct job *job = container_of(task, struct job, task);

    job->started = clock_now_ns();
    job->finished = job->started;
}

static void *plain_main(void *arg)
{
    static const uint64_t one = 1;
    struct plain *plain = arg;

    for (;;) {
        struct job *job;

        pthread_mutex_lock(&plain->lock);
        while (!plain->first && !plain->stopping)
            pthread_cond_wait(&plain->wanted, &plain->lock);
        job = plain->first;
        if (job && !(plain->first = job->next))
            plain->last = &plain->first;
        pthread_mutex_unlock(&plain->lock);
        if (!job)
            return NULL;
        run_nothing(&job->task);
        pthread_mutex_lock(&job->loop->lock);
        job->next = job->loop->done;
        job->loop->done = job;
        pthread_mutex_unlock(&job->loop->lock);
        (void)!write(job->loop->box.fd, &one, sizeof one);
    }
}

static void plain_submit(struct plain *plain, struct job *job)
{
    pthread_mutex_lock(&plain->lock);
    job->next = NULL;
    *plain->last = job;
    plain->last = &job->next;
    pthread_cond_signal(&plain->wanted);
    pthread_mutex_unlock(&plain->lock);
}

/* ---- loops ----------------------------------------------------------------------------------- */

static void came_back(struct loop *loop, struct job *job)
{
    int64_t now = clock_now_ns();

    if (loop->to_start && loop->n_samples < MAX_SAMPLES) {
        loop->to_start[loop->n_samples] = (int32_t)(job->started - job->submitted);
        loop->to_loop[loop->n_samples++] = (int32_t)(now - job->finished);
    }
    loop->count++;
    loop->in_flight--;
    if (now < loop->until)
        task_list_add(&loop->again, &job->task);
}

static void deliver(struct mail *mail)
{
    struct job *job = container_of(mail, struct job, task.done);

    came_back(job->loop, job);
}

static void submit(struct loop *loop, struct task_list *batch)
{
    struct task_list refused;
    struct task *task;
    int64_t now = clock_now_ns();

    loop->in_flight += batch->count;
    for (task = batch->first; task; task = task->next)
        container_of(task, struct job, task)->submitted = now;
    if (!loop->plain) {
        if (batch->count && (pool_submit(loop->pool, batch, &refused) || refused.count))
            abort();
        return;
    }
    while ((task = task_list_pop(batch)))
        plain_submit(loop->plain, container_of(task, struct job, task));
}

static void take_done(struct loop *loop)
{
    struct job *job;
    uint64_t count;

    if (!loop->plain) {
        mailbox_deliver(&loop->box);
        return;
    }
    (void)!read(loop->box.fd, &count, sizeof count);
    pthread_mutex_lock(&loop->lock);
    job = loop->done;
    loop->done = NULL;
    pthread_mutex_unlock(&loop->lock);
    while (job) {
        struct job *next = job->next;

        came_back(loop, job);
        job = next;
    }
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    struct epoll_event event = {.events = EPOLLIN | (loop->plain ? 0 : EPOLLET)};

    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->box.fd, &event);
    submit(loop, &loop->again);
    while (loop->in_flight) {
        epoll_wait(loop->epoll, &event, 1, -1);
        take_done(loop);
        submit(loop, &loop->again);
    }
    return NULL;
}

static void begin_loop(struct loop *loop, struct pool *pool, struct plain *plain, unsigned jobs,
                       double seconds)
{
    memset(loop, 0, sizeof *loop);
    loop->pool = pool;
    loop->plain = plain;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    pthread_mutex_init(&loop->lock, NULL);
    if (loop->epoll < 0 || mailbox_init(&loop->box))
        abort();
    for (unsigned i = 0; i < jobs; i++) {
        loop->jobs[i] = (struct job){
            .task = {.run = run_nothing, .done = {.deliver = deliver}, .reply_to = &loop->box},
            .loop = loop};
        task_list_add(&loop->again, &loop->jobs[i].task);
    }
    if (jobs == 1) {
        loop->to_start = calloc(MAX_SAMPLES, sizeof *loop->to_start);
        loop->to_loop = calloc(MAX_SAMPLES, sizeof *loop->to_loop);
    }
    loop->until = clock_now_ns() + (int64_t)(seconds * 1e9);
}

/* ---- one measurement ------------------------------------------------------------------------- */

struct figures {
    double rate, switches, start50, start99, loop50, loop99;
};

static int compare_int(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

static double percentile_us(int32_t *samples, size_t n, unsigned percent)
{
    qsort(samples, n, sizeof *samples, compare_int);
    return n ? samples[n * percent / 100] / 1000.0 : 0;
}

static long switches(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

static void run_loops(struct pool *pool, struct plain *plain, unsigned loops, unsigned jobs,
                      double seconds, struct figures *out)
{
    static struct loop all[MAX_LOOPS];
    int64_t began = clock_now_ns();
    long switched = switches();
    uint64_t count = 0;
    double took;

    for (unsigned i = 0; i < loops; i++) {
        begin_loop(&all[i], pool, plain, jobs, seconds);
        if (pthread_create(&all[i].thread, NULL, loop_main, &all[i]))
            abort();
    }
    for (unsigned i = 0; i < loops; i++) {
        pthread_join(all[i].thread, NULL);
        count += all[i].count;
    }
    took = (double)(clock_now_ns() - began) / 1e9;
    if (jobs > 1) {
        out->rate = (double)count / took;
        out->switches = (double)(switches() - switched) / (double)count;
    } else {
        out->start50 = percentile_us(all[0].to_start, all[0].n_samples, 50);
        out->start99 = percentile_us(all[0].to_start, all[0].n_samples, 99);
        out->loop50 = percentile_us(all[0].to_loop, all[0].n_samples, 50);
        out->loop99 = percentile_us(all[0].to_loop, all[0].n_samples, 99);
    }
    for (unsigned i = 0; i < loops; i++) {
        free(all[i].to_start);
        free(all[i].to_loop);
        mailbox_close(&all[i].box);
        close(all[i].epoll);
    }
}

static void measure_pool(unsigned threads, unsigned loops, double seconds, struct figures *out)
{
    struct pool *pool = pool_new("bench", NULL, NULL);
    const struct pool_settings settings = {
        .threads = threads, .queue_depth = 1000, .stack_size = 64 << 10};

    if (!pool || pool_configure(pool, &settings))
        abort();
    run_loops(pool, NULL, loops, IN_FLIGHT, seconds, out);
    run_loops(pool, NULL, loops, 1, seconds / 2, out);
    pool_stop(pool);
    pool_join(pool);
    pool_unref(pool);
}

static void measure_plain(unsigned threads, unsigned loops, double seconds, struct figures *out)
{
    struct plain *plain = calloc(1, sizeof *plain);

    pthread_mutex_init(&plain->lock, NULL);
    pthread_cond_init(&plain->wanted, NULL);
    plain->last = &plain->first;
    for (; plain->n_threads < threads; plain->n_threads++)
        if (pthread_create(&plain->threads[plain->n_threads], NULL, plain_main, plain))
            abort();
    run_loops(NULL, plain, loops, IN_FLIGHT, seconds, out);
    run_loops(NULL, plain, loops, 1, seconds / 2, out);
    pthread_mutex_lock(&plain->lock);
    plain->stopping = true;
    pthread_cond_broadcast(&plain->wanted);
    pthread_mutex_unlock(&plain->lock);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(plain->threads[i], NULL);
    free(plain);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median of one figure over the rounds. */
static double median(const struct figures *rounds, int n, size_t offset)
{
    double values[MAX_ROUNDS];

    for (int i = 0; i < n; i++)
        memcpy(&values[i], (const char *)&rounds[i] + offset, sizeof *values);
    qsort(values, (size_t)n, sizeof *values, compare_double);
    return values[n / 2];
}

static double median_ratio(const struct figures *a, const struct figures *b, int n)
{
    double ratios[MAX_ROUNDS];

    for (int i = 0; i < n; i++)
        ratios[i] = a[i].rate / b[i].rate;
    qsort(ratios, (size_t)n, sizeof *ratios, compare_double);
    return ratios[n / 2];
}

#define MEDIAN(rounds, n, field) median(rounds, n, offsetof(struct figures, field))

static void print_row(const char *who, unsigned threads, unsigned loops, const struct figures *f,
                      int n)
{
    printf("| %s | %u | %u | %.2f M | %.2f | %.1f / %.1f | %.1f / %.1f |", who, threads, loops,
           MEDIAN(f, n, rate) / 1e6, MEDIAN(f, n, switches), MEDIAN(f, n, start50),
           MEDIAN(f, n, start99), MEDIAN(f, n, loop50), MEDIAN(f, n, loop99));
}

int main(int argc, char **argv)
{
    static const unsigned threads[] = {1, 4, 40, 400};
    static struct figures ours[MAX_ROUNDS], theirs[MAX_ROUNDS];
    double seconds = argc > 1 ? atof(argv[1]) : 0.3;
    int rounds = argc > 2 ? atoi(argv[2]) : 7;

    if (seconds <= 0 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: pool [SECONDS [ROUNDS (1 to %d)]]\n", MAX_ROUNDS);
        return 64;
    }
    printf(
        "| | threads | loops | tasks/s | switches per task | to start p50 / p99, us | to loop p50 / "
        "p99, us | rate, ratio |\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for (unsigned loops = 1; loops <= MAX_LOOPS; loops++)
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            for (int i = 0; i < rounds; i++) {
                measure_pool(threads[t], loops, seconds, &ours[i]);
                measure_plain(threads[t], loops, seconds, &theirs[i]);
            }
            print_row("pool", threads[t], loops, ours, rounds);
            printf(" %.2f |\n", median_ratio(ours, theirs, rounds));
            print_row("mutex + condvar", threads[t], loops, theirs, rounds);
            printf(" 1 |\n");
            fflush(stdout);
        }
    return 0;
}
