#include "clock.h"
#include "futex.h"
#include "support.h"
#include "task.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

START_TEST(lists_keep_their_order)
{
    struct task tasks[3] = {{0}};
    struct task_list list = {0};

    ck_assert_ptr_null(task_list_pop(&list));
    for (int i = 0; i < 3; i++) {
        task_list_add(&list, &tasks[i]);
        ck_assert_uint_eq(list.count, (unsigned)i + 1);
    }
    ck_assert_ptr_eq(task_list_pop(&list), &tasks[0]);
    task_list_add(&list, &tasks[0]);
    ck_assert_ptr_eq(task_list_pop(&list), &tasks[1]);
    ck_assert_ptr_eq(task_list_pop(&list), &tasks[2]);
    ck_assert_ptr_eq(task_list_pop(&list), &tasks[0]);
    ck_assert_ptr_null(task_list_pop(&list));
    ck_assert_uint_eq(list.count, 0);
    task_list_add(&list, &tasks[1]);
    ck_assert_ptr_eq(list.first, &tasks[1]);
    ck_assert_ptr_eq(list.last, &tasks[1]);
}
END_TEST

START_TEST(a_cancelled_task_does_not_sleep)
{
    struct task task = {0};

    ck_assert(!task_cancelled(&task));
    task_cancel(&task);
    ck_assert(task_cancelled(&task));
    task_cancel(&task);
    ck_assert(task_cancelled(&task));
    ck_assert(!task_sleep_until(&task, INT64_MAX));
    ck_assert(!task_sleep_until(&task, 0));
}
END_TEST

START_TEST(a_deadline_in_the_past_is_reached_at_once)
{
    struct task task = {0};

    ck_assert(task_sleep_until(&task, 0));
    ck_assert(task_sleep_until(&task, clock_now_ns()));
}
END_TEST

static int64_t looks;

static int64_t slow_clock(void)
{
    return 100 * looks++;
}

/* The kernel's clock is far behind the deadline, so that each wait returns too early. */
START_TEST(a_wait_that_ends_early_is_repeated)
{
    struct task task = {0};

    clock_set_source(slow_clock);
    ck_assert(task_sleep_until(&task, 500));
    ck_assert_int_eq(looks, 6);
}
END_TEST

START_TEST(a_sleep_lasts_until_its_deadline)
{
    struct task task = {0};
    int64_t deadline = clock_now_ns() + 5 * NS_PER_MS;

    ck_assert(task_sleep_until(&task, deadline));
    ck_assert_int_ge(clock_now_ns(), deadline);
}
END_TEST

struct sleeper {
    struct task task;
    _Atomic long tid;
    bool reached;
};

static void *sleep_long(void *arg)
{
    struct sleeper *sleeper = arg;

    atomic_store(&sleeper->tid, syscall(SYS_gettid));
    sleeper->reached = task_sleep_until(&sleeper->task, clock_now_ns() + 3600 * NS_PER_SEC);
    return NULL;
}

/* Whether the kernel says that the thread sleeps ("S" behind the name in stat, proc(5)). */
static bool is_asleep(long tid)
{
    char path[64], line[512] = "", *behind;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", tid);
    file = fopen(path, "r");
    if (!file)
        return false;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    behind = strrchr(line, ')');
    return behind && behind[1] == ' ' && behind[2] == 'S';
}

START_TEST(cancelling_wakes_a_sleeping_task)
{
    struct sleeper sleeper = {.reached = true};
    pthread_t thread;
    long tid;

    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_long, &sleeper), 0);
    while (!(tid = atomic_load(&sleeper.tid)) || !is_asleep(tid))
        sched_yield();
    /* Woken for no reason it goes on sleeping. */
    futex_wake(&sleeper.task.signals);
    while (!is_asleep(tid))
        sched_yield();
    task_cancel(&sleeper.task);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!sleeper.reached);
}
END_TEST

struct waiter {
    struct task task;
    _Atomic bool wanted;
};

static void *wait_until_wanted(void *arg)
{
    struct waiter *waiter = arg;

    for (;;) {
        uint32_t seen = task_signals(&waiter->task);

        if (waiter->wanted)
            return NULL;
        task_wait(&waiter->task, seen);
    }
}

/* However the two meet, a nudge between looking and waiting is not lost. */
START_TEST(a_nudge_wakes_a_waiting_task)
{
    for (int i = 0; i < 2000; i++) {
        struct waiter waiter = {0};
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, wait_until_wanted, &waiter), 0);
        waiter.wanted = true;
        task_nudge(&waiter.task);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert(!task_cancelled(&waiter.task));
    }
}
END_TEST

START_TEST(a_poller_is_told_of_nudges_and_of_the_end)
{
    struct task task = {0};
    int fd = task_open_poll_fd(&task);
    uint64_t nudges;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(read(fd, &nudges, sizeof nudges), -1);
    task_nudge(&task);
    task_nudge(&task);
    ck_assert_int_eq(read(fd, &nudges, sizeof nudges), sizeof nudges);
    ck_assert_uint_eq(nudges, 2);
    task_cancel(&task);
    ck_assert_int_eq(read(fd, &nudges, sizeof nudges), sizeof nudges);
    task_close_poll_fd(&task);
    task_nudge(&task); /* goes nowhere */

    fd = task_open_poll_fd(&task); /* it is cancelled already */
    ck_assert_int_eq(read(fd, &nudges, sizeof nudges), sizeof nudges);
    task_close_poll_fd(&task);
    task_close_poll_fd(&task);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lists_keep_their_order,
        a_cancelled_task_does_not_sleep,
        a_deadline_in_the_past_is_reached_at_once,
        a_wait_that_ends_early_is_repeated,
        a_sleep_lasts_until_its_deadline,
        cancelling_wakes_a_sleeping_task,
        a_nudge_wakes_a_waiting_task,
        a_poller_is_told_of_nudges_and_of_the_end,
    };

    return support_run("task", tests, COUNT_OF(tests));
}
