/* The pool under several submitting threads, each with its own mailbox, while everything about it
 * changes.  The model is simple: each task is in one place, comes home exactly once for each time that
 * it was sent, and the books of pool, lanes and submitters agree. */
#include "clock.h"
#include "crew.h"
#include "list.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUBMITTERS = 3, FLOCK = 12, BATCHES = 1000, RESIZES = 300, VAIN = 3000, LANES = 3 };

enum place { AT_HOME, AWAY, RUNNING };

struct submitter;

/* A job that comes and goes all the time. */
struct bird {
    struct task task;
    struct submitter *home;
    struct list link; /* among those at home */
    _Atomic enum place place;
};

struct submitter {
    pthread_t thread;
    struct pool *pool;
    struct mailbox box;
    struct support_random random;
    struct bird birds[FLOCK];
    struct list at_home;
    size_t away;
    bool fickle; /* uses lanes, deadlines, withdrawals */
    uint64_t sent, ended[TASK_END_COUNT], results[TASK_RESULT_COUNT];
};

static struct submitter submitters[SUBMITTERS];
static _Atomic bool storm_is_over;
static _Atomic unsigned running, most_running;
static struct lane *lanes[LANES];

static struct bird *bird_of(struct task *task)
{
    return container_of(task, struct bird, task);
}

static void fly(struct task *task)
{
    struct bird *bird = bird_of(task);
    unsigned now = ++running, most = most_running;

    while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
        ;
    ck_assert_int_eq(atomic_exchange(&bird->place, RUNNING), AWAY);
    sched_yield();
    ck_assert_int_eq(atomic_exchange(&bird->place, AWAY), RUNNING);
    running--;
}

static void come_home(struct bird *bird)
{
    struct submitter *s = bird->home;

    ck_assert_int_eq(atomic_exchange(&bird->place, AT_HOME), AWAY);
    s->ended[bird->task.end]++;
    if (bird->task.end == TASK_RAN)
        s->results[bird->task.result]++;
    s->away--;
    list_add_tail(&s->at_home, &bird->link);
}

static void bring_mail(struct mail *mail)
{
    come_home(bird_of(container_of(mail, struct task, done)));
}

static void prepare(struct submitter *s, struct task *task)
{
    uint32_t which = support_random_below(&s->random, LANES + 1);

    if (!s->fickle)
        return;
    task->lane = which < LANES ? lanes[which] : NULL;
    task->signals = 0;
    task->queue_timeout_ns = support_random_below(&s->random, 3) * 20 * NS_PER_US;
    task->run_timeout_ns = support_random_below(&s->random, 3) * NS_PER_US;
    task->queue_budget_ns = support_random_below(&s->random, 8) ? 0 : 30 * NS_PER_US;
}

/* Looks at one of those that are away, or gives it up. */
static void meddle(struct submitter *s)
{
    struct bird *bird = &s->birds[support_random_below(&s->random, FLOCK)];
    int64_t again;

    if (!s->fickle || bird->place == AT_HOME)
        return;
    if (support_random_below(&s->random, 2)) {
        if (pool_withdraw(s->pool, &bird->task)) {
            ck_assert_int_eq(bird->task.end, TASK_CLIENT_GONE);
            come_home(bird);
        }
    } else if (pool_look(s->pool, &bird->task, clock_now_ns(), &again) == POOL_WAITED) {
        ck_assert_int_eq(bird->task.end, TASK_QUEUE_TIMEOUT);
        come_home(bird);
    }
}

static void send_some(struct submitter *s)
{
    struct task_list batch = {0}, refused;
    struct task *task;

    for (uint32_t n = 1 + support_random_below(&s->random, 6); n && !list_empty(&s->at_home); n--) {
        struct bird *bird = container_of(list_pop_head(&s->at_home), struct bird, link);

        ck_assert_int_eq(atomic_exchange(&bird->place, AWAY), AT_HOME);
        s->away++;
        s->sent++;
        prepare(s, &bird->task);
        task_list_add(&batch, &bird->task);
    }
    ck_assert_int_eq(pool_submit(s->pool, &batch, &refused), 0);
    while ((task = task_list_pop(&refused))) {
        ck_assert(task->end == TASK_QUEUE_FULL || s->fickle);
        ck_assert_ptr_eq(bird_of(task)->home, s);
        come_home(bird_of(task));
    }
}

static void check_pool(struct pool *pool)
{
    struct pool_stats stats;

    pool_get_stats(pool, &stats);
    crew_check_books(&stats);
}

static void *submit_all(void *arg)
{
    struct submitter *s = arg;

    for (int i = 0; i < BATCHES; i++) {
        if (list_empty(&s->at_home))
            support_deliver_least(&s->box, 1 + support_random_below(&s->random, (uint32_t)s->away));
        send_some(s);
        meddle(s);
        check_pool(s->pool);
        if (!support_random_below(&s->random, 4))
            mailbox_deliver(&s->box);
    }
    while (s->away)
        support_deliver(&s->box, s->away);
    return NULL;
}

static void start_submitters(struct pool *pool, struct support_random *random, bool fickle)
{
    for (int i = 0; i < SUBMITTERS; i++) {
        struct submitter *s = &submitters[i];

        s->pool = pool;
        s->fickle = fickle;
        s->random.state = random->state + (uint64_t)i * 7919;
        ck_assert_int_eq(mailbox_init(&s->box), 0);
        list_init(&s->at_home);
        for (int k = 0; k < FLOCK; k++) {
            s->birds[k] = (struct bird){
                .task = {.done = {.deliver = bring_mail}, .reply_to = &s->box, .run = fly},
                .home = s,
                .place = AT_HOME};
            list_add_tail(&s->at_home, &s->birds[k].link);
        }
        ck_assert_int_eq(pthread_create(&s->thread, NULL, submit_all, s), 0);
    }
}

/* Joins the submitters and compares their books with the pool's. */
static void finish_submitters(struct pool *pool)
{
    uint64_t sent = 0, ended[TASK_END_COUNT] = {0}, results[TASK_RESULT_COUNT] = {0};
    struct pool_stats stats;

    for (int i = 0; i < SUBMITTERS; i++) {
        struct submitter *s = &submitters[i];

        ck_assert_int_eq(pthread_join(s->thread, NULL), 0);
        ck_assert_uint_eq(mailbox_deliver(&s->box), 0);
        mailbox_close(&s->box);
        sent += s->sent;
        for (int k = 0; k < TASK_END_COUNT; k++)
            ended[k] += s->ended[k];
        for (int k = 0; k < TASK_RESULT_COUNT; k++)
            results[k] += s->results[k];
    }
    pool_get_stats(pool, &stats);
    crew_check_books(&stats);
    ck_assert_uint_eq(stats.books.submitted, sent);
    ck_assert_uint_eq(stats.books.ran, ended[TASK_RAN]);
    for (int k = TASK_RAN + 1; k < TASK_END_COUNT; k++)
        ck_assert_uint_eq(stats.books.refused[k], ended[k]);
    for (int k = 0; k < TASK_RESULT_COUNT; k++)
        ck_assert_uint_eq(stats.books.results[k], results[k]);
    ck_assert_uint_eq(stats.busy, 0);
    ck_assert_uint_eq(stats.books.queued, 0);
    ck_assert_uint_eq(most_running, stats.highest_busy);
    storm_is_over = true;
}

static void stop_pool(struct pool *pool)
{
    pool_stop(pool);
    pool_join(pool);
    pool_unref(pool);
}

static void storm_of_fixed_size(const char *name, bool on_demand)
{
    struct support_random random = support_random_new(name);
    struct pool *pool = pool_new("storm", NULL, NULL);
    const struct pool_settings settings = {.threads = 1 + support_random_below(&random, 6),
                                           .queue_depth = support_random_below(&random, 12),
                                           .on_demand = on_demand,
                                           .stack_size = CREW_STACK};
    struct pool_stats stats;

    ck_assert_int_eq(pool_configure(pool, &settings), 0);
    start_submitters(pool, &random, false);
    finish_submitters(pool);
    pool_get_stats(pool, &stats);
    ck_assert_uint_le(stats.active, settings.threads);
    ck_assert_uint_le(stats.highest_busy, settings.threads);
    stop_pool(pool);
}

START_TEST(a_storm_on_eager_threads)
{
    storm_of_fixed_size("eager storm", false);
}
END_TEST

START_TEST(a_storm_on_threads_on_demand)
{
    storm_of_fixed_size("storm on demand", true);
}
END_TEST

START_TEST(a_storm_while_the_pool_is_resized)
{
    struct support_random random = support_random_new("resized storm");
    struct pool *pool = pool_new("storm", NULL, NULL);
    struct pool_settings settings = {
        .threads = 1, .queue_depth = 1, .on_demand = false, .stack_size = CREW_STACK};

    ck_assert_int_eq(pool_configure(pool, &settings), 0);
    start_submitters(pool, &random, false);
    for (int i = 0; i < RESIZES; i++) {
        settings.threads = 1 + support_random_below(&random, 8);
        settings.queue_depth = support_random_below(&random, 16);
        settings.on_demand = support_random_below(&random, 2);
        ck_assert_int_eq(pool_configure(pool, &settings), 0);
        check_pool(pool);
        pool_reap(pool);
        sched_yield();
    }
    finish_submitters(pool);
    ck_assert_uint_le(most_running, 8 * 2); /* a shrunk pool may still be as busy as before */
    stop_pool(pool);
}
END_TEST

static void *refuse_and_cancel(void *arg)
{
    struct pool *pool = arg;

    while (!storm_is_over) {
        pool_refuse_queued(pool);
        pool_cancel_running(pool);
        check_pool(pool);
        sched_yield();
    }
    return NULL;
}

START_TEST(a_storm_while_tasks_are_refused_and_cancelled)
{
    struct support_random random = support_random_new("refusing storm");
    struct pool *pool = pool_new("storm", NULL, NULL);
    const struct pool_settings settings = {
        .threads = 2, .queue_depth = 20, .on_demand = false, .stack_size = CREW_STACK};
    pthread_t thread;

    ck_assert_int_eq(pool_configure(pool, &settings), 0);
    start_submitters(pool, &random, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, refuse_and_cancel, pool), 0);
    finish_submitters(pool);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    stop_pool(pool);
}
END_TEST

/* ---- no thread can be made, and several submitters find out at once -------------------------- */

static _Atomic unsigned strangers;

static void *submit_in_vain(void *arg)
{
    struct submitter *s = arg;

    for (int i = 0; i < VAIN; i++) {
        struct bird *bird = &s->birds[0];
        struct task_list batch = {0}, refused;
        struct task *task;

        list_remove(&bird->link);
        bird->place = AWAY;
        s->away = 1;
        task_list_add(&batch, &bird->task);
        (void)!pool_submit(s->pool, &batch, &refused);
        while ((task = task_list_pop(&refused))) {
            if (bird_of(task)->home == s) {
                come_home(bird_of(task));
            } else {
                strangers++;
                mailbox_post(task->reply_to, &task->done);
            }
        }
        support_deliver(&s->box, s->away);
    }
    return NULL;
}

/* ---- everything at once ---------------------------------------------------------------------- */

static void change_pool(struct pool *pool, struct support_random *random)
{
    const struct pool_settings settings = {
        .threads = 1 + support_random_below(random, 8),
        .queue_depth = support_random_below(random, 16),
        .on_demand = support_random_below(random, 2),
        .idle_ns = (int64_t)support_random_below(random, 4) * 50 * NS_PER_US - 1,
        .nice = (int)support_random_below(random, 2),
        .stack_size = CREW_STACK + support_random_below(random, 2) * CREW_STACK,
        .queue = {.discipline = (enum pool_discipline)support_random_below(random, 3),
                  .codel_target_ns = 10 * NS_PER_US,
                  .codel_window_ns = 50 * NS_PER_US}};

    ck_assert_int_eq(pool_configure(pool, &settings), 0);
}

static void change_lane(struct support_random *random)
{
    const struct lane_settings settings = {.concurrency = support_random_below(random, 4),
                                           .max_queue = support_random_below(random, 10)};

    ck_assert_int_eq(lane_configure(lanes[support_random_below(random, LANES)], &settings), 0);
}

static void add_books(struct pool_books *sum, struct lane *lane)
{
    struct lane_stats stats;

    lane_get_stats(lane, &stats);
    sum->submitted += stats.books.submitted;
    sum->ran += stats.books.ran;
    sum->queued += stats.books.queued;
    sum->running += stats.books.running;
}

START_TEST(a_storm_in_which_everything_changes)
{
    struct support_random random = support_random_new("fickle storm");
    struct pool *pool = pool_new("storm", NULL, NULL);
    struct pool_books sum = {0};
    char name[] = "/0";

    for (int i = 0; i < LANES; i++, name[1]++) {
        lanes[i] = pool_lane(pool, name);
        ck_assert_ptr_nonnull(lanes[i]);
    }
    change_pool(pool, &random);
    start_submitters(pool, &random, true);
    for (int i = 0; i < RESIZES; i++) {
        change_pool(pool, &random);
        change_lane(&random);
        check_pool(pool);
        if (!support_random_below(&random, 8))
            pool_refuse_queued(pool);
        if (!support_random_below(&random, 8))
            pool_cancel_running(pool);
        pool_reap(pool);
        sched_yield();
    }
    finish_submitters(pool);
    for (int i = 0; i < LANES; i++)
        add_books(&sum, lanes[i]);
    ck_assert_uint_gt(sum.ran, 0);
    ck_assert_uint_eq(sum.queued + sum.running, 0);
    for (int i = 0; i < LANES; i++)
        lane_unref(lanes[i]);
    stop_pool(pool);
}
END_TEST

START_TEST(nobody_gets_the_tasks_of_another)
{
    struct pool *pool = pool_new("storm", NULL, NULL);
    const struct pool_settings settings = {
        .threads = 8, .queue_depth = 20, .on_demand = true, .stack_size = CREW_IMPOSSIBLE_STACK};

    ck_assert_int_eq(pool_configure(pool, &settings), 0);
    for (int i = 0; i < SUBMITTERS; i++) {
        struct submitter *s = &submitters[i];

        s->pool = pool;
        ck_assert_int_eq(mailbox_init(&s->box), 0);
        list_init(&s->at_home);
        s->birds[0] = (struct bird){
            .task = {.done = {.deliver = bring_mail}, .reply_to = &s->box, .run = fly}, .home = s};
        list_add_tail(&s->at_home, &s->birds[0].link);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert_int_eq(
            pthread_create(&submitters[i].thread, NULL, submit_in_vain, &submitters[i]), 0);
    for (int i = 0; i < SUBMITTERS; i++) {
        ck_assert_int_eq(pthread_join(submitters[i].thread, NULL), 0);
        mailbox_close(&submitters[i].box);
        ck_assert_uint_eq(submitters[i].ended[TASK_QUEUE_FULL], VAIN);
    }
    ck_assert_uint_eq(strangers, 0);
    stop_pool(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_storm_on_eager_threads,
        a_storm_on_threads_on_demand,
        a_storm_while_the_pool_is_resized,
        a_storm_while_tasks_are_refused_and_cancelled,
        a_storm_in_which_everything_changes,
        nobody_gets_the_tasks_of_another,
    };

    return support_run("pool_storm", tests, COUNT_OF(tests));
}
