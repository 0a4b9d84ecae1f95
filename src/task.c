/* DESIGN
 *
 * A worker sleeps on one word, `signals`, whatever it waits for: a bit says that the task is
 * cancelled, the rest counts nudges, so that no wake-up between looking and sleeping is lost.
 *
 * A worker that has to poll descriptors asks for an eventfd as well.  Others may just be about to
 * write to it when the worker closes it; they count themselves in before they look whether it is
 * there, and closing waits until nobody is counted. */
#include "task.h"

#include "clock.h"
#include "futex.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>

static void write_one(int fd)
{
    const uint64_t one = 1;

    /* Fails only when the counter is full, and then it wakes all the same. */
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void poke(struct task *task)
{
    int fd;

    futex_wake(&task->signals);
    atomic_fetch_add(&task->n_poking, 1);
    fd = atomic_load(&task->poll_fd) - 1;
    if (fd >= 0)
        write_one(fd);
    atomic_fetch_sub(&task->n_poking, 1);
}

void task_cancel(struct task *task)
{
    atomic_fetch_or(&task->signals, TASK_CANCELLED);
    poke(task);
}

void task_nudge(struct task *task)
{
    atomic_fetch_add(&task->signals, TASK_NUDGE);
    poke(task);
}

void task_wait(struct task *task, uint32_t seen)
{
    if (task_signals(task) == seen)
        futex_wait(&task->signals, seen, NULL);
}

bool task_sleep_until(struct task *task, int64_t deadline_ns)
{
    struct timespec deadline = clock_to_timespec(deadline_ns);

    for (;;) {
        uint32_t seen = task_signals(task);

        if (seen & TASK_CANCELLED)
            return false;
        if (clock_now_ns() >= deadline_ns)
            return true;
        futex_wait(&task->signals, seen, &deadline);
    }
}

int task_open_poll_fd(struct task *task)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    atomic_store(&task->poll_fd, fd + 1);
    /* Whoever cancelled before the store has not seen the descriptor. */
    if (atomic_load(&task->signals) & TASK_CANCELLED)
        write_one(fd);
    return fd;
}

void task_close_poll_fd(struct task *task)
{
    int fd = atomic_exchange(&task->poll_fd, 0) - 1;

    while (atomic_load(&task->n_poking))
        sched_yield();
    if (fd >= 0)
        close(fd);
}
