/* The disciplines in virtual time: threads, arrivals and run times are simulated event by event, so that
 * promises about waiting can be tested exactly and at once. */
#include "clock.h"
#include "pool_queue.h"
#include "support.h"

#include <stdlib.h>

enum { LANES = 2, MAX_THREADS = 40, MAX_TASKS = 200000 };

struct visitor {
    struct task task;
    unsigned lane;
    int64_t arrives;
    int64_t runs_for;
    int64_t waited; /* -1: turned out, or never started */
};

struct thread {
    struct visitor *current; /* NULL: idle */
    int64_t ends;
};

static struct {
    struct pool_queue queue;
    struct lane_queue lanes[LANES];
    struct thread threads[MAX_THREADS];
    unsigned n_threads;
    struct visitor visitors[MAX_TASKS]; /* in the order of their arrival */
    size_t n_visitors;
} sim;

static const int64_t TARGET = 5 * NS_PER_MS, WINDOW = 100 * NS_PER_MS;

static void begin(enum pool_discipline discipline, unsigned threads)
{
    pool_queue_init(&sim.queue);
    sim.queue.settings = (struct pool_queue_settings){discipline, TARGET, WINDOW};
    for (int i = 0; i < LANES; i++)
        lane_queue_init(&sim.lanes[i]);
    memset(sim.threads, 0, sizeof sim.threads);
    sim.n_threads = threads;
    sim.n_visitors = 0;
}

static void invite(unsigned lane, int64_t arrives, int64_t runs_for)
{
    ck_assert_uint_lt(sim.n_visitors, MAX_TASKS);
    sim.visitors[sim.n_visitors++] =
        (struct visitor){.lane = lane, .arrives = arrives, .runs_for = runs_for, .waited = -1};
}

static struct thread *first_to_end(void)
{
    struct thread *first = NULL;

    for (unsigned i = 0; i < sim.n_threads; i++)
        if (sim.threads[i].current && (!first || sim.threads[i].ends < first->ends))
            first = &sim.threads[i];
    return first;
}

static struct thread *idle_thread(void)
{
    for (unsigned i = 0; i < sim.n_threads; i++)
        if (!sim.threads[i].current)
            return &sim.threads[i];
    return NULL;
}

static struct visitor *visitor_of(struct task *task)
{
    return container_of(task, struct visitor, task);
}

/* As submitters do, who look when a task's time has come. */
static void look(int64_t now)
{
    struct task *task, *next;

    for (task = sim.queue.ready.first; task; task = next) {
        next = task->next;
        if (pool_queue_gives_up(&sim.queue, task, now))
            pool_queue_remove(&sim.queue, &sim.lanes[visitor_of(task)->lane], task);
    }
}

/* When somebody looks next, if that is before `before`. */
static int64_t next_look(int64_t now, int64_t before)
{
    const struct task *first = sim.queue.ready.first;
    int64_t at = first ? pool_queue_deadline(&sim.queue, first, now) : INT64_MAX;

    return at > now && at < before ? at : before;
}

static void start_what_can(int64_t now)
{
    struct thread *thread;
    struct task *task;

    while ((task = pool_queue_late(&sim.queue, now)))
        pool_queue_remove(&sim.queue, &sim.lanes[visitor_of(task)->lane], task);
    while ((thread = idle_thread()) && (task = pool_queue_next(&sim.queue, now))) {
        thread->current = visitor_of(task);
        thread->ends = now + thread->current->runs_for;
        thread->current->waited = now - thread->current->arrives;
        pool_queue_start(&sim.queue, &sim.lanes[thread->current->lane], task);
    }
}

static void run(int64_t until)
{
    size_t next = 0;
    int64_t now = 0;

    while (now < until) {
        struct thread *ending = first_to_end();
        struct visitor *arriving = next < sim.n_visitors ? &sim.visitors[next] : NULL;
        int64_t event;

        if (!ending && !arriving)
            break;
        event = ending ? ending->ends : arriving->arrives;
        event = arriving && arriving->arrives < event ? arriving->arrives : event;
        if (next_look(now, event) < event) {
            now = next_look(now, event);
            look(now);
            continue;
        }
        if (ending && (!arriving || ending->ends <= arriving->arrives)) {
            now = ending->ends;
            sim.lanes[ending->current->lane].running--;
            ending->current = NULL;
        } else {
            now = arriving->arrives;
            pool_queue_add(&sim.queue, &sim.lanes[arriving->lane], &arriving->task, now);
            next++;
        }
        start_what_can(now);
    }
}

/* ---- overload -------------------------------------------------------------------------------- */

/* Half as much again as the threads can do, evenly or at random; the share of the capacity that is
 * answered within the target and the run time. */
static double useful_share(enum pool_discipline discipline, unsigned threads, int64_t run_ns,
                           bool even)
{
    struct support_random random = support_random_new("overload");
    const int64_t span = 20 * NS_PER_SEC, gap = run_ns * 2 / 3 / (int64_t)threads;
    size_t useful = 0;

    begin(discipline, threads);
    sim.queue.recent_run_ns = run_ns;
    for (int64_t at = 0; at < span;) {
        invite(0, at, run_ns);
        /* The sum of four even distributions is burstier than none and has the same mean. */
        for (int i = 0; i < 4; i++)
            at += even ? gap / 4 : (int64_t)support_random_below(&random, (uint32_t)(gap / 2) + 1);
    }
    run(span);
    for (size_t i = 0; i < sim.n_visitors; i++)
        useful += sim.visitors[i].waited >= 0 && sim.visitors[i].waited <= TARGET;
    return (double)useful / ((double)span / (double)run_ns * threads);
}

START_TEST(codel_lifo_keeps_its_capacity_useful)
{
    static const struct {
        unsigned threads;
        int64_t run_ns;
    } cases[] = {
        {4, 20 * NS_PER_MS}, {8, 50 * NS_PER_MS}, {40, 50 * NS_PER_MS}, {40, 200 * NS_PER_MS}};

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int even = 0; even < 2; even++) {
            double share = useful_share(POOL_CODEL_LIFO, cases[i].threads, cases[i].run_ns, even);

            ck_assert_msg(share >= 0.9, "%u threads, even %d: %.3f", cases[i].threads, even, share);
        }
}
END_TEST

START_TEST(fifo_does_not)
{
    ck_assert_double_lt(useful_share(POOL_FIFO, 8, 50 * NS_PER_MS, true), 0.1);
    ck_assert_double_lt(useful_share(POOL_FIFO, 40, 50 * NS_PER_MS, false), 0.1);
}
END_TEST

/* ---- a noisy neighbour ----------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The 99th percentile of waiting and running in lane 1. */
static int64_t p99(void)
{
    static int64_t times[MAX_TASKS];
    size_t n = 0;

    for (size_t i = 0; i < sim.n_visitors; i++)
        if (sim.visitors[i].lane == 1) {
            ck_assert_int_ge(sim.visitors[i].waited, 0);
            times[n++] = sim.visitors[i].waited + sim.visitors[i].runs_for;
        }
    ck_assert_uint_gt(n, 100);
    qsort(times, n, sizeof *times, compare);
    return times[n * 99 / 100];
}

/* Ten requests a second of 50 ms in lane 1; with a flood, twice what all threads can do in lane 0. */
static int64_t p99_beside_a_flood(enum pool_discipline discipline, bool flood)
{
    const int64_t span = 20 * NS_PER_SEC, run_ns = 50 * NS_PER_MS;
    const unsigned threads = 4;

    begin(discipline, threads);
    for (int64_t at = 0, flood_at = 0; at < span; at += 100 * NS_PER_MS) {
        for (; flood && flood_at <= at; flood_at += run_ns / threads / 2)
            invite(0, flood_at, run_ns);
        invite(1, at, run_ns);
    }
    run(4 * span);
    return p99();
}

START_TEST(fair_keeps_a_neighbour_quiet)
{
    int64_t alone = p99_beside_a_flood(POOL_FAIR, false);

    ck_assert_int_eq(alone, 50 * NS_PER_MS);
    ck_assert_int_le(p99_beside_a_flood(POOL_FAIR, true), 3 * alone);
    ck_assert_int_gt(p99_beside_a_flood(POOL_FIFO, true), 20 * alone);
}
END_TEST

START_TEST(a_cap_keeps_a_neighbour_quiet_too)
{
    int64_t alone = p99_beside_a_flood(POOL_FIFO, false);
    const int64_t span = 20 * NS_PER_SEC, run_ns = 50 * NS_PER_MS;

    begin(POOL_FIFO, 4);
    sim.lanes[0].concurrency = 3;
    for (int64_t at = 0; at < span; at += 100 * NS_PER_MS) {
        for (int i = 0; i < 16; i++)
            invite(0, at, run_ns);
        invite(1, at, run_ns);
    }
    run(span);
    ck_assert_int_eq(p99(), alone);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        codel_lifo_keeps_its_capacity_useful,
        fifo_does_not,
        fair_keeps_a_neighbour_quiet,
        a_cap_keeps_a_neighbour_quiet_too,
    };

    return support_run("pool_overload", tests, COUNT_OF(tests));
}
