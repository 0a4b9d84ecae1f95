/* What limits a task: its lane's cap, its queue's depth, the time that it may wait or run. */
#include "clock.h"
#include "crew.h"

#include <sys/resource.h>

static struct lane *lane, *other;

static void begin(const struct pool_settings *settings)
{
    crew_begin(0, 0, false);
    ck_assert_int_eq(pool_configure(crew.pool, settings), 0);
    lane = pool_lane(crew.pool, "/a");
    other = pool_lane(crew.pool, "/b");
    ck_assert_ptr_nonnull(lane);
    ck_assert_ptr_nonnull(other);
}

static void begin_plain(unsigned threads, unsigned depth)
{
    begin(&(struct pool_settings){
        .threads = threads, .queue_depth = depth, .stack_size = CREW_STACK});
}

static void end(void)
{
    crew_end_with(lane, other);
}

static void cap(unsigned concurrency, unsigned max_queue)
{
    const struct lane_settings settings = {.concurrency = concurrency, .max_queue = max_queue};

    ck_assert_int_eq(lane_configure(lane, &settings), 0);
}

/* Gives jobs from `first` to a lane. */
static void assign(unsigned first, unsigned count, struct lane *to)
{
    for (unsigned i = first; i < first + count; i++)
        crew.jobs[i].task.lane = to;
}

static struct pool_books books_of(struct lane *which)
{
    struct lane_stats stats;

    lane_get_stats(which, &stats);
    return stats.books;
}

static void look(unsigned job, int64_t now, enum pool_verdict verdict, int64_t again)
{
    int64_t told;

    ck_assert_int_eq(pool_look(crew.pool, &crew.jobs[job].task, now, &told), verdict);
    ck_assert_int_eq(told, again);
}

/* ---- caps ------------------------------------------------------------------------------------ */

START_TEST(a_lane_never_passes_its_cap)
{
    begin_plain(4, 10);
    cap(2, 10);
    assign(0, 6, lane);
    assign(6, 2, other);
    crew_submit(0, 6);
    crew_wait_inside(2);
    ck_assert_uint_eq(crew_stats().parked, 4);
    ck_assert_uint_eq(books_of(lane).running, 2);
    ck_assert_uint_eq(books_of(lane).queued, 4);
    /* The two threads that are left are for others. */
    crew_submit(6, 2);
    crew_wait_inside(4);
    ck_assert_uint_eq(books_of(other).running, 2);
    crew_release(8);
    ck_assert_uint_eq(books_of(lane).ran, 6);
    end();
}
END_TEST

START_TEST(parked_tasks_come_in_order)
{
    begin_plain(1, 10);
    cap(1, 10);
    assign(0, 5, lane);
    crew_submit(0, 5);
    crew_release(5);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(crew.jobs[i].rank, i + 1);
    end();
}
END_TEST

START_TEST(a_full_lane_refuses)
{
    begin_plain(4, 10);
    cap(2, 1);
    assign(0, 6, lane);
    ck_assert_int_eq(crew_submit_batch(0, 6, 3, TASK_ROUTE_FULL), 0);
    ck_assert_uint_eq(books_of(lane).refused[TASK_ROUTE_FULL], 3);
    crew_release(3);
    end();
}
END_TEST

START_TEST(parked_tasks_take_no_place_in_the_queue)
{
    begin_plain(2, 1);
    cap(1, 20);
    assign(0, 10, lane);
    assign(10, 3, other);
    crew_submit(0, 10);
    crew_submit(10, 2);
    ck_assert_int_eq(crew_submit_batch(12, 1, 1, TASK_QUEUE_FULL), 0);
    crew_release(12);
    end();
}
END_TEST

START_TEST(a_lane_without_cap_may_wait_up_to_its_max_queue)
{
    begin_plain(1, 10);
    cap(0, 2);
    assign(0, 4, lane);
    assign(4, 2, other);
    crew_submit(0, 1);
    crew_wait_inside(1);
    ck_assert_int_eq(crew_submit_batch(1, 3, 1, TASK_ROUTE_FULL), 0);
    crew_submit(4, 2);
    crew_release(5);
    end();
}
END_TEST

START_TEST(a_higher_cap_lets_parked_ones_run)
{
    begin_plain(4, 10);
    cap(1, 10);
    assign(0, 4, lane);
    crew_submit(0, 4);
    crew_wait_inside(1);
    cap(3, 10);
    crew_wait_inside(3);
    cap(0, 10);
    crew_wait_inside(4);
    crew_release(4);
    end();
}
END_TEST

START_TEST(a_lower_cap_holds_as_tasks_end)
{
    begin_plain(4, 10);
    assign(0, 6, lane);
    crew_submit(0, 4);
    crew_wait_inside(4);
    cap(1, 10);
    crew_submit(4, 2);
    ck_assert_uint_eq(crew_stats().parked, 2);
    crew_release(3);
    ck_assert_uint_eq(books_of(lane).running, 1);
    ck_assert_uint_eq(crew_stats().parked, 2);
    crew_release(3);
    end();
}
END_TEST

START_TEST(one_that_leaves_makes_room_for_a_parked_one)
{
    begin_plain(1, 10);
    cap(1, 10);
    assign(1, 2, lane);
    crew_submit(0, 3);
    crew_wait_inside(1);
    ck_assert_uint_eq(crew_stats().parked, 1);
    ck_assert(pool_withdraw(crew.pool, &crew.jobs[1].task));
    ck_assert_uint_eq(crew_stats().parked, 0);
    crew_release(2);
    ck_assert_uint_gt(crew.jobs[2].rank, 0);
    end();
}
END_TEST

START_TEST(a_lane_is_found_again_by_its_name)
{
    struct lane *again;

    begin_plain(1, 1);
    again = pool_lane(crew.pool, "/a");
    ck_assert_ptr_eq(again, lane);
    ck_assert_str_eq(lane_name(again), "/a");
    lane_unref(again);
    lane_unref(NULL);
    end();
}
END_TEST

START_TEST(refusing_what_is_queued_takes_parked_ones_too)
{
    begin_plain(1, 10);
    cap(1, 10);
    assign(0, 4, lane);
    crew_submit(0, 4);
    crew_wait_inside(1);
    pool_refuse_queued(crew.pool);
    crew_deliver(3);
    ck_assert_uint_eq(crew_stats().books.refused[TASK_DRAINING], 3);
    ck_assert_uint_eq(crew.jobs[1].rank, 0);
    crew_release(1);
    end();
}
END_TEST

START_TEST(a_stopping_pool_works_off_what_is_parked)
{
    begin_plain(3, 10);
    cap(1, 10);
    assign(0, 4, lane);
    crew_submit(0, 4);
    crew_wait_inside(1);
    pool_stop(crew.pool);
    crew_release(4);
    ck_assert_uint_eq(crew_stats().books.ran, 4);
    end();
}
END_TEST

/* ---- the order ------------------------------------------------------------------------------- */

START_TEST(fair_threads_take_turns_between_lanes)
{
    begin(&(struct pool_settings){.threads = 1,
                                  .queue_depth = 20,
                                  .stack_size = CREW_STACK,
                                  .queue = {.discipline = POOL_FAIR}});
    assign(0, 10, lane);
    assign(10, 2, other);
    crew_submit(0, 1);
    crew_wait_inside(1);
    crew_submit(1, 11);
    crew_release(12);
    /* One of the flood runs; then the other lane's turn comes at once, and again after one more. */
    ck_assert_uint_eq(crew.jobs[10].rank, 2);
    ck_assert_uint_eq(crew.jobs[1].rank, 3);
    ck_assert_uint_eq(crew.jobs[11].rank, 4);
    end();
}
END_TEST

START_TEST(in_an_overload_the_newest_runs_and_the_late_go)
{
    support_clock_stop(1000);
    begin(&(struct pool_settings){
        .threads = 1,
        .queue_depth = 20,
        .stack_size = CREW_STACK,
        .queue = {.discipline = POOL_CODEL_LIFO, .codel_target_ns = 50, .codel_window_ns = 400}});
    crew_submit(0, 1);
    crew_wait_inside(1);
    crew_submit(1, 1);
    support_clock_set(1000 + 380);
    crew_submit(2, 2);
    support_clock_set(1000 + 400);
    crew_open(1);
    /* Number 1 is late; of the two that are not, the newer one runs first. */
    crew_deliver(2);
    ck_assert_int_eq(crew.jobs[1].task.end, TASK_QUEUE_TIMEOUT);
    crew_release(2);
    ck_assert_uint_eq(crew.jobs[3].rank, 2);
    ck_assert_uint_eq(crew.jobs[2].rank, 3);
    ck_assert_uint_eq(crew_stats().books.refused[TASK_QUEUE_TIMEOUT], 1);
    end();
    clock_set_source(NULL);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(a_wait_has_an_end_while_every_thread_is_stuck)
{
    support_clock_stop(1000);
    begin_plain(1, 10);
    crew.jobs[1].task.queue_timeout_ns = 500;
    crew_submit(0, 2);
    crew_wait_inside(1);
    look(1, 1499, POOL_GOES_ON, 1500);
    look(1, 1500, POOL_WAITED, INT64_MAX);
    ck_assert_int_eq(crew.jobs[1].task.end, TASK_QUEUE_TIMEOUT);
    ck_assert_uint_eq(crew_stats().books.queued, 0);
    ck_assert_uint_eq(crew_stats().books.refused[TASK_QUEUE_TIMEOUT], 1);
    look(1, 1600, POOL_GOES_ON, INT64_MAX);
    crew_release(1);
    end();
    clock_set_source(NULL);
}
END_TEST

START_TEST(a_parked_wait_has_an_end_too)
{
    support_clock_stop(1000);
    begin_plain(4, 10);
    cap(1, 10);
    assign(0, 2, lane);
    crew.jobs[1].task.queue_timeout_ns = 500;
    crew_submit(0, 2);
    crew_wait_inside(1);
    look(1, 1500, POOL_WAITED, INT64_MAX);
    crew_release(1);
    end();
    clock_set_source(NULL);
}
END_TEST

START_TEST(a_run_has_an_end_and_its_thread_stays_busy)
{
    struct task *task = &crew.jobs[0].task;

    support_clock_stop(1000);
    begin_plain(1, 10);
    task->run_timeout_ns = 300;
    crew_submit(0, 1);
    crew_wait_inside(1);
    look(0, 1299, POOL_GOES_ON, 1300);
    ck_assert(!task_cancelled(task));
    look(0, 1300, POOL_TIMED_OUT, INT64_MAX);
    ck_assert(task_cancelled(task));
    look(0, 1400, POOL_GOES_ON, INT64_MAX);
    /* Its thread is not given to another one. */
    ck_assert_uint_eq(crew_stats().busy, 1);
    crew_submit(1, 1);
    ck_assert_uint_eq(crew_stats().books.queued, 1);
    crew_release(2);
    ck_assert_int_eq(task->end, TASK_RAN);
    ck_assert_int_eq(task->result, TASK_RESULT_TIMEOUT);
    ck_assert_uint_eq(crew_stats().books.results[TASK_RESULT_TIMEOUT], 1);
    ck_assert_uint_eq(crew_stats().books.results[TASK_RESULT_OK], 1);
    end();
    clock_set_source(NULL);
}
END_TEST

START_TEST(the_run_is_counted_from_its_start)
{
    support_clock_stop(1000);
    begin_plain(1, 10);
    crew.jobs[1].task.run_timeout_ns = 300;
    crew_submit(0, 2);
    crew_wait_inside(1);
    support_clock_set(2000);
    look(1, 2000, POOL_GOES_ON, 2300); /* it may start right now */
    crew_release(1);
    crew_wait_inside(1);
    look(1, 2100, POOL_GOES_ON, 2300);
    look(1, 2300, POOL_TIMED_OUT, INT64_MAX);
    crew_release(1);
    end();
    clock_set_source(NULL);
}
END_TEST

static void run_for_1000(struct task *task)
{
    crew_run_nothing(task);
    support_clock_set(clock_now_ns() + 1000);
}

START_TEST(a_budget_is_held_against_what_is_to_be_expected)
{
    struct pool_stats stats;

    support_clock_stop(1000);
    begin_plain(1, 10);
    for (unsigned i = 0; i < 4; i++)
        crew.jobs[i].task.run = run_for_1000;
    crew_submit(0, 4);
    crew_deliver(4);
    ck_assert_int_eq(crew_stats().books.recent_run_ns, 1000);
    ck_assert_int_eq(crew_stats().expected_wait_ns, 0);
    crew_submit(4, 3);
    crew_wait_inside(1);
    pool_get_stats(crew.pool, &stats);
    ck_assert_int_eq(stats.expected_wait_ns, 3000);
    crew.jobs[7].task.queue_budget_ns = 2999;
    ck_assert_int_eq(crew_submit_batch(7, 1, 1, TASK_QUEUE_TIMEOUT), 0);
    crew.jobs[8].task.queue_budget_ns = 3000;
    crew_submit(8, 1);
    crew_release(4);
    end();
    clock_set_source(NULL);
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

START_TEST(an_idle_thread_ends_after_its_time)
{
    begin(&(struct pool_settings){.threads = 4,
                                  .queue_depth = 4,
                                  .on_demand = true,
                                  .idle_ns = NS_PER_MS,
                                  .stack_size = CREW_STACK});
    crew_submit(0, 3);
    crew_wait_inside(3);
    crew_release(3);
    crew_wait_ended(3);
    ck_assert_uint_eq(crew_stats().active, 0);
    crew_submit(0, 1);
    crew_release(1);
    crew_wait_ended(4);
    end();
}
END_TEST

START_TEST(a_change_of_the_time_reaches_those_that_are_idle)
{
    struct pool_settings settings = {
        .threads = 4, .queue_depth = 4, .on_demand = true, .stack_size = CREW_STACK};

    begin(&settings);
    crew_submit(0, 3);
    crew_release(3);
    settings.idle_ns = NS_PER_MS;
    ck_assert_int_eq(pool_configure(crew.pool, &settings), 0);
    crew_wait_ended(crew_stats().active);
    end();
}
END_TEST

START_TEST(a_change_of_the_time_reaches_those_that_a_smaller_pool_keeps)
{
    struct pool_settings settings = {
        .threads = 4, .queue_depth = 4, .on_demand = true, .stack_size = CREW_STACK};

    begin(&settings);
    crew_submit(0, 4);
    crew_wait_inside(4);
    crew_release(4);
    settings.threads = 2;
    settings.idle_ns = NS_PER_MS;
    ck_assert_int_eq(pool_configure(crew.pool, &settings), 0);
    crew_wait_ended(4);
    end();
}
END_TEST

START_TEST(without_idling_a_thread_ends_with_its_last_task)
{
    begin(&(struct pool_settings){.threads = 2,
                                  .queue_depth = 4,
                                  .on_demand = true,
                                  .idle_ns = POOL_NO_IDLING,
                                  .stack_size = CREW_STACK});
    crew_submit(0, 4);
    crew_wait_inside(2);
    crew_release(4);
    crew_wait_ended(2);
    ck_assert_uint_eq(crew_stats().active, 0);
    ck_assert_uint_eq(crew_stats().books.ran, 4);
    end();
}
END_TEST

static _Atomic int niceness;

static void note_nice(struct task *task)
{
    crew_run_nothing(task);
    niceness = getpriority(PRIO_PROCESS, 0);
}

START_TEST(threads_are_as_nice_as_they_are_told)
{
    int own = getpriority(PRIO_PROCESS, 0);

    begin(&(struct pool_settings){
        .threads = 1, .queue_depth = 4, .nice = 3, .stack_size = CREW_STACK});
    crew.jobs[0].task.run = note_nice;
    crew_submit(0, 1);
    crew_deliver(1);
    ck_assert_int_eq(niceness, own + 3 < 19 ? own + 3 : 19);
    end();
}
END_TEST

static void burn(struct task *task)
{
    int64_t until = clock_thread_cpu_ns() + 5 * NS_PER_MS;

    crew_run_nothing(task);
    while (clock_thread_cpu_ns() < until)
        ;
    task->children_cpu_ns = NS_PER_SEC;
}

START_TEST(cpu_time_is_added_up_and_never_lost)
{
    int64_t before, after;

    begin_plain(2, 4);
    crew.jobs[0].task.run = burn;
    crew_submit(0, 1);
    crew_deliver(1);
    before = pool_cpu_ns(crew.pool);
    ck_assert_int_ge(before, NS_PER_SEC + 5 * NS_PER_MS);
    pool_stop(crew.pool);
    pool_join(crew.pool);
    after = pool_cpu_ns(crew.pool);
    ck_assert_int_ge(after, before);
    ck_assert_int_lt(after, 60 * NS_PER_SEC);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_lane_never_passes_its_cap,
        parked_tasks_come_in_order,
        a_full_lane_refuses,
        parked_tasks_take_no_place_in_the_queue,
        a_lane_without_cap_may_wait_up_to_its_max_queue,
        a_higher_cap_lets_parked_ones_run,
        a_lower_cap_holds_as_tasks_end,
        one_that_leaves_makes_room_for_a_parked_one,
        a_lane_is_found_again_by_its_name,
        refusing_what_is_queued_takes_parked_ones_too,
        a_stopping_pool_works_off_what_is_parked,
        fair_threads_take_turns_between_lanes,
        in_an_overload_the_newest_runs_and_the_late_go,
        a_wait_has_an_end_while_every_thread_is_stuck,
        a_parked_wait_has_an_end_too,
        a_run_has_an_end_and_its_thread_stays_busy,
        the_run_is_counted_from_its_start,
        a_budget_is_held_against_what_is_to_be_expected,
        an_idle_thread_ends_after_its_time,
        a_change_of_the_time_reaches_those_that_are_idle,
        a_change_of_the_time_reaches_those_that_a_smaller_pool_keeps,
        without_idling_a_thread_ends_with_its_last_task,
        threads_are_as_nice_as_they_are_told,
        cpu_time_is_added_up_and_never_lost,
    };

    return support_run("pool_limits", tests, COUNT_OF(tests));
}
