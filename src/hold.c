/* DESIGN
 *
 * libevent counts time by a coarse clock: its timers fire up to some milliseconds early or late.  A
 * held answer is what somebody waits for, so held answers have a timerfd of their own, set to the
 * earliest of them. */
#include "hold.h"

#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void set_timer(struct hold *hold)
{
    const struct timer_node *first = timer_heap_first(&hold->heap);
    struct itimerspec at = {0};

    if (!first || first->at_ns == hold->armed_ns)
        return;
    at.it_value = clock_to_timespec(first->at_ns);
    timerfd_settime(hold->fd, TFD_TIMER_ABSTIME, &at, NULL);
    hold->armed_ns = first->at_ns;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct exchange *x;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    loop->hold.armed_ns = 0;
    while ((x = hold_first(loop)) && x->hold.at_ns <= clock_now_ns()) {
        hold_release(x);
        x->send(x);
    }
    set_timer(&loop->hold);
}

int hold_init(struct loop *loop)
{
    struct hold *hold = &loop->hold;

    hold->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (hold->fd < 0)
        return -errno;
    hold->event = event_new(loop->base, hold->fd, EV_READ | EV_PERSIST, on_time, loop);
    return hold->event && event_add(hold->event, NULL) == 0 ? 0 : -ENOMEM;
}

void hold_close(struct loop *loop)
{
    struct hold *hold = &loop->hold;

    if (hold->event)
        event_free(hold->event);
    if (hold->fd >= 0)
        close(hold->fd);
    timer_heap_clear(&hold->heap);
}

int hold_add(struct exchange *x, int64_t ns, void (*send)(struct exchange *exchange))
{
    struct hold *hold = &x->loop->hold;
    int r;

    x->send = send;
    x->hold.at_ns = clock_now_ns() + ns;
    r = timer_heap_add(&hold->heap, &x->hold);
    if (!r)
        set_timer(hold);
    return r;
}

void hold_release(struct exchange *x)
{
    timer_heap_remove(&x->loop->hold.heap, &x->hold);
}

struct exchange *hold_first(struct loop *loop)
{
    struct timer_node *first = timer_heap_first(&loop->hold.heap);

    return first ? container_of(first, struct exchange, hold) : NULL;
}
