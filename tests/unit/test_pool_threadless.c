/* The pool when no thread can be made, and others use it at the same instant: pthread_create(3) is
 * replaced by one that fails, and that does something else before. */
#include "list.h"
#include "pool.h"
#include "support.h"

#include <errno.h>
#include <pthread.h>

struct owner;

struct errand {
    struct task task;
    struct owner *owner;
    unsigned came_back;
};

struct owner {
    struct mailbox box;
    struct errand errand;
};

static struct owner owners[2];
static struct pool *pool;
static void (*meanwhile)(void);

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): those are reserved
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    void (*act)(void) = meanwhile;

    (void)thread;
    (void)attr;
    (void)start;
    (void)arg;
    meanwhile = NULL;
    if (act)
        act();
    return EAGAIN;
}

static void come_back(struct mail *mail)
{
    container_of(container_of(mail, struct task, done), struct errand, task)->came_back++;
}

static void never_run(struct task *task)
{
    ck_abort_msg("%p ran without a thread", (void *)task);
}

static void begin(void)
{
    pool = pool_new("threadless", NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(owners); i++) {
        ck_assert_int_eq(mailbox_init(&owners[i].box), 0);
        owners[i].errand = (struct errand){
            .task = {.done = {.deliver = come_back}, .reply_to = &owners[i].box, .run = never_run},
            .owner = &owners[i]};
    }
}

static int configure(bool on_demand)
{
    return pool_configure(
        pool, &(struct pool_settings){
                  .threads = 4, .queue_depth = 10, .on_demand = on_demand, .stack_size = 1 << 18});
}

/* Submits an owner's task; what is refused must be its own. */
static void submit(struct owner *owner)
{
    struct task_list batch = {0}, refused;
    struct task *task;

    task_list_add(&batch, &owner->errand.task);
    (void)!pool_submit(pool, &batch, &refused);
    while ((task = task_list_pop(&refused))) {
        ck_assert_msg(task == &owner->errand.task, "the task of somebody else came back");
        ck_assert_int_eq(task->end, TASK_QUEUE_FULL);
        owner->errand.came_back++;
    }
}

static void submit_second(void)
{
    submit(&owners[1]);
}

/* Each task is back with its owner once, by the call or by mail, and the books are right. */
static void end(unsigned count)
{
    struct pool_stats stats;

    for (unsigned i = 0; i < COUNT_OF(owners); i++) {
        mailbox_deliver(&owners[i].box);
        ck_assert_msg(owners[i].errand.came_back == (i >= COUNT_OF(owners) - count),
                      "the task of owner %u came back %u times", i, owners[i].errand.came_back);
        mailbox_close(&owners[i].box);
    }
    pool_get_stats(pool, &stats);
    ck_assert_uint_eq(stats.active, 0);
    ck_assert_uint_eq(stats.books.queued, 0);
    ck_assert_uint_eq(stats.books.submitted, count);
    ck_assert_uint_eq(stats.books.refused[TASK_QUEUE_FULL], count);
    pool_stop(pool);
    pool_join(pool);
    pool_unref(pool);
}

START_TEST(a_task_without_any_thread_comes_back)
{
    begin();
    ck_assert_int_eq(configure(true), 0);
    submit(&owners[1]);
    end(1);
}
END_TEST

START_TEST(of_two_that_submit_each_gets_its_own_task_back)
{
    begin();
    ck_assert_int_eq(configure(true), 0);
    meanwhile = submit_second;
    submit(&owners[0]);
    ck_assert_ptr_null(meanwhile);
    end(2);
}
END_TEST

/* It counted on the thread that was being made. */
START_TEST(a_task_submitted_while_configuring_fails_comes_back)
{
    begin();
    meanwhile = submit_second;
    ck_assert_int_eq(configure(false), -EAGAIN);
    ck_assert_ptr_null(meanwhile);
    end(1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_task_without_any_thread_comes_back,
        of_two_that_submit_each_gets_its_own_task_back,
        a_task_submitted_while_configuring_fails_comes_back,
    };

    return support_run("pool_threadless", tests, COUNT_OF(tests));
}
