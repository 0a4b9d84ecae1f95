#include "task.h"

#include "clock.h"
#include "futex.h"

void task_cancel(struct task *task)
{
    atomic_store_explicit(&task->cancelled, 1, memory_order_release);
    futex_wake(&task->cancelled);
}

bool task_sleep_until(struct task *task, int64_t deadline_ns)
{
    struct timespec deadline = clock_to_timespec(deadline_ns);

    while (!task_cancelled(task)) {
        if (clock_now_ns() >= deadline_ns)
            return true;
        futex_wait(&task->cancelled, 0, &deadline);
    }
    return false;
}
