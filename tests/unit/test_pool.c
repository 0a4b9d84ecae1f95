/* The pool by itself: order, admission, threads that come and go, stopping.  The storms with
 * several submitting threads are in test_pool_storm.c. */
#include "clock.h"
#include "crew.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static void wait_ended_threads(unsigned count)
{
    while (crew.ended_threads < count)
        sched_yield();
    ck_assert_uint_eq(crew.ended_threads, count);
}

/* ---- order and admission --------------------------------------------------------------------- */

START_TEST(tasks_run_in_the_order_of_submission)
{
    crew_begin(1, 100, false);
    crew_submit(0, 10);
    ck_assert_int_eq(crew_submit_batch(10, 10, 0, TASK_RAN), 0);
    crew_release(20);
    for (unsigned i = 0; i < 20; i++) {
        const struct task *task = &crew.jobs[i].task;

        ck_assert_uint_eq(crew.jobs[i].rank, i + 1);
        ck_assert_ptr_eq(crew.delivered[i], &crew.jobs[i]);
        ck_assert_int_eq(task->end, TASK_RAN);
        ck_assert_int_gt(task->submitted_ns, 0);
        ck_assert_int_le(task->submitted_ns, task->started_ns);
        ck_assert_int_le(task->started_ns, task->finished_ns);
    }
    ck_assert_uint_eq(crew_stats().books.ran, 20);
    crew_end();
}
END_TEST

START_TEST(exactly_threads_and_depth_are_admitted)
{
    struct pool_stats stats;

    crew_begin(3, 2, false);
    crew_submit(0, 5);
    for (unsigned i = 5; i < 9; i++)
        ck_assert_int_eq(crew_submit_batch(i, 1, 1, TASK_QUEUE_FULL), 0);
    crew_wait_inside(3);
    stats = crew_stats();
    ck_assert_uint_eq(stats.busy, 3);
    ck_assert_uint_eq(stats.books.queued, 2);
    ck_assert_uint_eq(stats.available, 0);
    ck_assert_uint_eq(stats.highest_busy, 3);
    ck_assert_uint_eq(stats.books.refused[TASK_QUEUE_FULL], 4);
    ck_assert_uint_eq(stats.books.submitted, 9);
    crew_release(1);
    crew_submit(9, 1);
    ck_assert_int_eq(crew_submit_batch(10, 1, 1, TASK_QUEUE_FULL), 0);
    crew_release(5);
    stats = crew_stats();
    ck_assert_uint_eq(stats.books.ran, 6);
    ck_assert_uint_eq(stats.books.refused[TASK_QUEUE_FULL], 5);
    crew_end();
}
END_TEST

START_TEST(without_depth_a_task_runs_at_once_or_is_refused)
{
    crew_begin(2, 0, false);
    crew_submit(0, 2);
    ck_assert_int_eq(crew_submit_batch(2, 1, 1, TASK_QUEUE_FULL), 0);
    crew_wait_inside(2);
    ck_assert_int_eq(crew_submit_batch(2, 1, 1, TASK_QUEUE_FULL), 0);
    crew_release(1);
    crew_submit(2, 1);
    ck_assert_int_eq(crew_submit_batch(3, 1, 1, TASK_QUEUE_FULL), 0);
    crew_release(2);
    crew_end();
}
END_TEST

START_TEST(a_batch_is_taken_in_part_and_the_rest_comes_back_in_order)
{
    crew_begin(2, 3, false);
    ck_assert_int_eq(crew_submit_batch(0, 10, 5, TASK_QUEUE_FULL), 0);
    crew_wait_inside(2);
    ck_assert_uint_eq(crew_stats().books.queued, 3);
    ck_assert_int_eq(crew_submit_batch(10, 3, 3, TASK_QUEUE_FULL), 0);
    ck_assert_int_eq(crew_submit_batch(0, 0, 0, TASK_RAN), 0);
    crew_release(5);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_int_eq(crew.jobs[i].rank > 0, i < 5);
    ck_assert_uint_eq(crew_stats().books.submitted, 13);
    crew_end();
}
END_TEST

START_TEST(a_burst_uses_every_thread)
{
    crew_begin(16, 0, false);
    ck_assert_int_eq(crew_submit_batch(0, 16, 0, TASK_RAN), 0);
    crew_wait_inside(16);
    crew_release(16);
    crew_end();
}
END_TEST

START_TEST(a_pool_without_settings_refuses)
{
    crew_begin(0, 0, false);
    ck_assert_int_eq(crew_submit_batch(0, 2, 2, TASK_QUEUE_FULL), 0);
    crew_end();
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

START_TEST(eager_threads_are_there_at_once)
{
    crew_begin(5, 0, false);
    ck_assert_uint_eq(crew_stats().active, 5);
    ck_assert_uint_eq(crew_stats().idle, 5);
    ck_assert_uint_eq(crew_stats().available, 5);
    ck_assert_uint_eq(pool_reap(crew.pool), 5);
    crew_end();
    ck_assert_uint_eq(crew.ended_threads, 5);
}
END_TEST

START_TEST(on_demand_threads_come_when_none_is_idle)
{
    crew_begin(3, 10, true);
    ck_assert_uint_eq(crew_stats().active, 0);
    ck_assert_uint_eq(crew_stats().available, 3);
    for (unsigned i = 0; i < 3; i++) {
        crew_submit(i, 1);
        crew_wait_inside(i + 1);
        ck_assert_uint_eq(crew_stats().active, i + 1);
    }
    crew_submit(3, 4);
    ck_assert_uint_eq(crew_stats().active, 3);
    ck_assert_uint_eq(crew_stats().books.queued, 4);
    crew_release(7);
    ck_assert_uint_eq(crew_stats().active, 3);
    crew_end();
}
END_TEST

START_TEST(on_demand_threads_are_used_again)
{
    crew_begin(8, 0, true);
    for (unsigned i = 0; i < 30; i++) {
        crew_submit(i, 1);
        crew_release(1);
        ck_assert_uint_eq(crew_stats().active, 1);
    }
    ck_assert_int_eq(crew_submit_batch(30, 3, 0, TASK_RAN), 0);
    ck_assert_uint_eq(crew_stats().active, 3);
    crew_release(3);
    for (unsigned i = 33; i + 3 <= CREW_JOBS; i += 3) {
        ck_assert_int_eq(crew_submit_batch(i, 3, 0, TASK_RAN), 0);
        ck_assert_uint_eq(crew_stats().active, 3);
        crew_release(3);
    }
    crew_end();
}
END_TEST

START_TEST(on_demand_a_burst_makes_no_more_than_its_threads)
{
    crew_begin(4, 20, true);
    ck_assert_int_eq(crew_submit_batch(0, 20, 0, TASK_RAN), 0);
    ck_assert_uint_eq(crew_stats().active, 4);
    crew_wait_inside(4);
    crew_release(20);
    ck_assert_uint_eq(crew_stats().active, 4);
    ck_assert_uint_eq(crew_stats().highest_busy, 4);
    crew_end();
}
END_TEST

static char thread_name[32];

static void note_name(struct task *task)
{
    crew_run_nothing(task);
    pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
}

START_TEST(threads_have_names)
{
    crew_begin(1, 0, false);
    crew.jobs[0].task.run = note_name;
    crew_submit(0, 1);
    crew_deliver(1);
    ck_assert_str_eq(thread_name, "crew/0");
    crew_end();
}
END_TEST

START_TEST(idle_threads_retire_at_once)
{
    crew_begin(4, 10, false);
    crew_submit(0, 4);
    crew_wait_inside(4);
    crew_release(4); /* now they have arrived and are idle */
    ck_assert_int_eq(crew_configure(1, 10, false, CREW_STACK), 0);
    ck_assert_uint_eq(crew_stats().active, 1);
    wait_ended_threads(3);
    ck_assert_uint_eq(pool_reap(crew.pool), 1);
    crew_submit(4, 3);
    crew_wait_inside(1);
    ck_assert_uint_eq(crew_stats().busy, 1);
    crew_release(3);
    crew_end();
    ck_assert_uint_eq(crew.ended_threads, 4);
}
END_TEST

START_TEST(starting_threads_retire_when_they_arrive)
{
    crew_begin(8, 10, false);
    ck_assert_int_eq(crew_configure(1, 10, false, CREW_STACK), 0);
    wait_ended_threads(7);
    ck_assert_uint_eq(crew_stats().active, 1);
    ck_assert_uint_eq(pool_reap(crew.pool), 1);
    crew_end();
}
END_TEST

START_TEST(busy_threads_retire_after_their_task)
{
    struct pool_stats stats;

    crew_begin(3, 5, false);
    crew_submit(0, 5);
    crew_wait_inside(3);
    ck_assert_int_eq(crew_configure(1, 0, false, CREW_STACK), 0);
    stats = crew_stats();
    ck_assert_uint_eq(stats.threads, 1);
    ck_assert_uint_eq(stats.active, 3);
    ck_assert_uint_eq(stats.busy, 3);
    ck_assert_uint_eq(stats.available, 0);
    ck_assert_uint_eq(stats.books.queued, 2); /* more than the new depth, and still there */
    ck_assert_int_eq(crew_submit_batch(5, 1, 1, TASK_QUEUE_FULL), 0);
    for (unsigned left = 2; left >= 1; left--) {
        crew_release(1);
        ck_assert_uint_eq(crew_stats().active, left);
        ck_assert_uint_eq(crew_stats().books.queued, 2);
    }
    wait_ended_threads(2);
    ck_assert_uint_eq(pool_reap(crew.pool), 1);
    ck_assert_int_eq(crew_submit_batch(5, 1, 1, TASK_QUEUE_FULL), 0);
    crew_release(3);
    ck_assert_uint_eq(crew_stats().books.ran, 5);
    ck_assert_uint_eq(crew_stats().active, 1);
    crew_submit(5, 1);
    crew_release(1);
    crew_end();
}
END_TEST

START_TEST(a_shrunk_pool_can_grow_before_its_threads_have_left)
{
    crew_begin(4, 5, false);
    crew_submit(0, 6);
    crew_wait_inside(4);
    ck_assert_int_eq(crew_configure(1, 5, false, CREW_STACK), 0);
    crew_release(1);
    ck_assert_uint_eq(crew_stats().active, 3);
    ck_assert_int_eq(crew_configure(4, 5, false, CREW_STACK), 0);
    ck_assert_uint_eq(crew_stats().active, 4);
    crew_wait_inside(4); /* the new thread has taken a task that waited */
    ck_assert_uint_eq(crew_stats().books.queued, 1);
    crew_release(5);
    ck_assert_uint_eq(crew_stats().active, 4);
    crew_end();
}
END_TEST

START_TEST(growing_lets_waiting_tasks_run)
{
    crew_begin(1, 10, false);
    crew_submit(0, 5);
    crew_wait_inside(1);
    ck_assert_int_eq(crew_configure(3, 10, false, CREW_STACK), 0);
    ck_assert_uint_eq(crew_stats().active, 3);
    crew_wait_inside(3);
    ck_assert_uint_eq(crew_stats().books.queued, 2);
    crew_release(5);
    crew_end();
}
END_TEST

START_TEST(on_demand_growing_waits_for_the_next_task)
{
    crew_begin(1, 10, true);
    crew_submit(0, 1);
    crew_wait_inside(1);
    ck_assert_int_eq(crew_configure(3, 10, true, CREW_STACK), 0);
    ck_assert_uint_eq(crew_stats().active, 1);
    crew_submit(1, 2);
    crew_wait_inside(3);
    crew_release(3);
    crew_end();
}
END_TEST

START_TEST(a_deeper_queue_counts_at_once)
{
    crew_begin(1, 1, false);
    crew_submit(0, 2);
    ck_assert_int_eq(crew_submit_batch(2, 1, 1, TASK_QUEUE_FULL), 0);
    ck_assert_int_eq(crew_configure(1, 2, false, CREW_STACK), 0);
    crew_submit(2, 1);
    ck_assert_int_eq(crew_submit_batch(3, 1, 1, TASK_QUEUE_FULL), 0);
    crew_release(3);
    crew_end();
}
END_TEST

START_TEST(settings_and_name_are_told)
{
    char name[] = "workers";
    struct pool *pool = pool_new(name, NULL, NULL);
    struct pool_settings settings = {.threads = 2,
                                     .queue_depth = 7,
                                     .on_demand = true,
                                     .stack_size = 123456},
                         told;

    name[0] = 'X';
    ck_assert_str_eq(pool_name(pool), "workers");
    ck_assert_int_eq(pool_configure(pool, &settings), 0);
    pool_get_settings(pool, &told);
    ck_assert_uint_eq(told.threads, 2);
    ck_assert_uint_eq(told.queue_depth, 7);
    ck_assert(told.on_demand);
    ck_assert_uint_eq(told.stack_size, 123456);
    ck_assert_ptr_eq(pool_ref(pool), pool);
    pool_unref(pool);
    ck_assert_str_eq(pool_name(pool), "workers");
    pool_unref(pool);
    pool_unref(NULL);
}
END_TEST

START_TEST(a_tiny_stack_becomes_the_least_that_works)
{
    crew_begin(0, 0, false);
    ck_assert_int_eq(crew_configure(2, 0, false, 1), 0);
    crew_submit(0, 2);
    crew_release(2);
    crew_end();
}
END_TEST

START_TEST(times_are_summed_up)
{
    struct pool_stats stats;

    support_clock_stop(1000);
    crew_begin(1, 10, false);
    crew_submit(0, 1);
    crew_wait_inside(1);
    ck_assert_int_eq(crew_stats().oldest_wait_ns, 0);
    support_clock_set(3000);
    crew_submit(1, 1);
    support_clock_set(4000);
    crew_submit(2, 1);
    support_clock_set(9000);
    ck_assert_int_eq(crew_stats().oldest_wait_ns, 6000);
    crew_release(1); /* ran 1000 to 9000; the next starts at 9000 */
    crew_wait_inside(1);
    ck_assert_int_eq(crew_stats().oldest_wait_ns, 5000);
    support_clock_set(10000);
    crew_release(2);
    stats = crew_stats();
    ck_assert_uint_eq(stats.books.wait_ns, 0 + 6000 + 6000);
    ck_assert_uint_eq(stats.books.run_ns, 8000 + 1000 + 0);
    ck_assert_int_eq(crew.jobs[1].task.submitted_ns, 3000);
    ck_assert_int_eq(crew.jobs[1].task.started_ns, 9000);
    ck_assert_int_eq(crew.jobs[1].task.finished_ns, 10000);
    crew_end();
}
END_TEST

/* ---- threads that cannot be made ------------------------------------------------------------- */

/* Submits tasks for which no thread can be made; they come back by mail. */
static void check_stranded(unsigned count)
{
    ck_assert_int_eq(crew_submit_batch(0, count, 0, TASK_QUEUE_FULL), -EAGAIN);
    crew_deliver(count);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(crew.jobs[i].task.end, TASK_QUEUE_FULL);
        ck_assert_int_eq(crew.jobs[i].task.started_ns, 0);
    }
}

START_TEST(eager_threads_that_cannot_be_made_are_an_error)
{
    crew_begin(0, 0, false);
    ck_assert_int_eq(crew_configure(2, 5, false, CREW_IMPOSSIBLE_STACK), -EAGAIN);
    ck_assert_uint_eq(crew_stats().active, 0);
    ck_assert_uint_eq(crew_stats().threads, 2);
    check_stranded(2);
    ck_assert_int_eq(crew_configure(2, 5, false, CREW_STACK), 0);
    ck_assert_uint_eq(crew_stats().active, 2);
    crew_submit(0, 2);
    crew_release(2);
    crew_end();
}
END_TEST

START_TEST(on_demand_without_any_thread_tasks_are_refused)
{
    crew_begin(0, 0, false);
    ck_assert_int_eq(crew_configure(2, 5, true, CREW_IMPOSSIBLE_STACK), 0);
    check_stranded(3);
    ck_assert_uint_eq(crew_stats().active, 0);
    ck_assert_uint_eq(crew_stats().books.refused[TASK_QUEUE_FULL], 3);
    ck_assert_int_eq(crew_configure(2, 5, true, CREW_STACK), 0);
    crew_submit(0, 1);
    crew_release(1);
    crew_end();
}
END_TEST

START_TEST(with_some_threads_a_task_waits_for_them)
{
    crew_begin(1, 5, true);
    crew_submit(0, 1);
    crew_wait_inside(1);
    ck_assert_int_eq(crew_configure(3, 1, true, CREW_IMPOSSIBLE_STACK), 0);
    ck_assert_int_eq(crew_submit_batch(1, 1, 0, TASK_RAN), -EAGAIN);
    ck_assert_int_eq(crew_submit_batch(2, 3, 1, TASK_QUEUE_FULL), -EAGAIN);
    ck_assert_uint_eq(crew_stats().active, 1);
    ck_assert_uint_eq(crew_stats().books.queued, 3);
    crew_release(4);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(crew.jobs[i].rank, i + 1);
    crew_end();
}
END_TEST

START_TEST(a_growth_that_fails_keeps_the_threads_there_are)
{
    crew_begin(2, 5, false);
    ck_assert_int_eq(crew_configure(4, 5, false, CREW_IMPOSSIBLE_STACK), -EAGAIN);
    ck_assert_uint_eq(crew_stats().active, 2);
    ck_assert_uint_eq(crew_stats().threads, 4);
    ck_assert_int_eq(crew_submit_batch(0, 2, 0, TASK_RAN), 0);
    crew_wait_inside(2);
    crew_release(2);
    crew_end();
}
END_TEST

/* ---- stopping -------------------------------------------------------------------------------- */

START_TEST(waiting_tasks_can_be_refused)
{
    crew_begin(1, 10, false);
    crew_submit(0, 5);
    crew_wait_inside(1);
    pool_refuse_queued(crew.pool);
    crew_deliver(4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_ptr_eq(crew.delivered[i], &crew.jobs[i + 1]);
        ck_assert_int_eq(crew.jobs[i + 1].task.end, TASK_DRAINING);
        ck_assert_uint_eq(crew.jobs[i + 1].rank, 0);
        ck_assert_int_eq(crew.jobs[i + 1].task.started_ns, 0);
    }
    ck_assert_uint_eq(crew_stats().books.refused[TASK_DRAINING], 4);
    ck_assert_uint_eq(crew_stats().books.queued, 0);
    crew_release(1);
    ck_assert_int_eq(crew.jobs[0].task.end, TASK_RAN);
    pool_refuse_queued(crew.pool);
    crew_submit(5, 1); /* the pool itself goes on */
    crew_release(1);
    crew_end();
}
END_TEST

static _Atomic bool was_cancelled;

static void look_at_flag(struct task *task)
{
    crew_run_nothing(task);
    was_cancelled = task_cancelled(task);
}

START_TEST(running_tasks_can_be_cancelled)
{
    crew_begin(3, 10, false);
    was_cancelled = true;
    for (unsigned i = 0; i < 3; i++) {
        crew.jobs[i].task.run = crew_run_sleeping;
        crew.jobs[i].slept = true;
    }
    crew.jobs[3].task.run = look_at_flag;
    crew_submit(0, 4);
    crew_wait_inside(3);
    pool_cancel_running(crew.pool);
    pool_cancel_running(crew.pool);
    crew_open(3);
    crew_deliver(4);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!crew.jobs[i].slept);
        ck_assert_int_eq(crew.jobs[i].task.end, TASK_RAN);
    }
    ck_assert(!was_cancelled); /* it only waited */
    pool_cancel_running(crew.pool);
    crew_end();
}
END_TEST

START_TEST(a_stopping_pool_runs_what_waits)
{
    crew_begin(3, 40, false);
    crew_submit(0, 40);
    crew_wait_inside(3);
    pool_stop(crew.pool);
    ck_assert_uint_eq(crew_stats().books.queued, 37);
    ck_assert_uint_gt(pool_reap(crew.pool), 0);
    crew_release(40);
    pool_join(crew.pool);
    ck_assert_uint_eq(crew_stats().books.ran, 40);
    ck_assert_uint_eq(crew.ended_threads, 3);
    crew_end();
}
END_TEST

START_TEST(a_stopping_pool_sends_idle_threads_home)
{
    crew_begin(6, 0, false);
    crew_submit(0, 1);
    crew_wait_inside(1);
    pool_stop(crew.pool);
    wait_ended_threads(5);
    ck_assert_uint_eq(pool_reap(crew.pool), 1);
    crew_release(1);
    crew_end();
    ck_assert_uint_eq(crew.ended_threads, 6);
}
END_TEST

START_TEST(refusing_what_waits_ends_a_stopping_pool)
{
    crew_begin(2, 10, false);
    crew_submit(0, 6);
    crew_wait_inside(2);
    pool_stop(crew.pool);
    pool_refuse_queued(crew.pool);
    crew_deliver(4);
    crew_release(2);
    crew_end();
    ck_assert_uint_eq(crew.ended_threads, 2);
}
END_TEST

START_TEST(a_pool_that_never_had_a_thread_stops)
{
    crew_begin(4, 0, true);
    pool_stop(crew.pool);
    ck_assert_uint_eq(pool_reap(crew.pool), 0);
    pool_stop(crew.pool);
    crew_end();
    ck_assert_uint_eq(crew.ended_threads, 0);
}
END_TEST

/* Threads that have not reached their first task when the pool stops. */
START_TEST(starting_and_stopping_at_once)
{
    for (int i = 0; i < 100; i++) {
        crew.ended_threads = 0;
        crew.n_delivered = 0;
        crew_begin(4, 4, i % 2);
        for (unsigned k = 0; k < 4; k++)
            crew.jobs[k].task.run = crew_run_nothing;
        ck_assert_int_eq(crew_submit_batch(0, 4, 0, TASK_RAN), 0);
        pool_stop(crew.pool);
        pool_join(crew.pool);
        crew_deliver(4);
        ck_assert_uint_eq(crew_stats().books.ran, 4);
        crew_end();
        ck_assert_uint_le(crew.ended_threads, 4);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tasks_run_in_the_order_of_submission,
        exactly_threads_and_depth_are_admitted,
        without_depth_a_task_runs_at_once_or_is_refused,
        a_batch_is_taken_in_part_and_the_rest_comes_back_in_order,
        a_burst_uses_every_thread,
        a_pool_without_settings_refuses,
        eager_threads_are_there_at_once,
        on_demand_threads_come_when_none_is_idle,
        on_demand_threads_are_used_again,
        on_demand_a_burst_makes_no_more_than_its_threads,
        threads_have_names,
        idle_threads_retire_at_once,
        starting_threads_retire_when_they_arrive,
        busy_threads_retire_after_their_task,
        a_shrunk_pool_can_grow_before_its_threads_have_left,
        growing_lets_waiting_tasks_run,
        on_demand_growing_waits_for_the_next_task,
        a_deeper_queue_counts_at_once,
        settings_and_name_are_told,
        a_tiny_stack_becomes_the_least_that_works,
        times_are_summed_up,
        eager_threads_that_cannot_be_made_are_an_error,
        on_demand_without_any_thread_tasks_are_refused,
        with_some_threads_a_task_waits_for_them,
        a_growth_that_fails_keeps_the_threads_there_are,
        waiting_tasks_can_be_refused,
        running_tasks_can_be_cancelled,
        a_stopping_pool_runs_what_waits,
        a_stopping_pool_sends_idle_threads_home,
        refusing_what_waits_ends_a_stopping_pool,
        a_pool_that_never_had_a_thread_stops,
        starting_and_stopping_at_once,
    };

    return support_run("pool", tests, COUNT_OF(tests));
}
