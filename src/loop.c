/* DESIGN
 *
 * The loop turns by its own `while`: each turn lets libevent handle what is ready, fires timers, goes
 * on with the connections that have more to do, then submits the tasks that the turn has made, one
 * batch for each pool.  Nobody but this thread calls libevent on its base, so libevent needs no locks;
 * others post mail, whose eventfd is watched edge-triggered and never read (mailbox.h). */
#include "loop.h"

#include "conn_accept.h"
#include "dispatch.h"
#include "exchange.h"
#include "server.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd;
    (void)what;
    mailbox_deliver(&loop->mailbox);
}

static void on_accepted(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_attach_fresh(arg);
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    /* The change list saves an epoll_ctl(2) where interest in a descriptor goes and comes back
     * within one turn.  It misbehaves with dup'ed descriptors in one epoll set; a loop has none.
     * Without epoll(7) libevent would take poll(2), which knows no edges. */
    if (config && !event_config_require_features(config, EV_FEATURE_ET) &&
        !event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) &&
        !event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK))
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

static void deliver_question(struct mail *mail)
{
    struct loop_question *question = container_of(mail, struct loop_question, mail);

    atomic_store_explicit(&question->answered, true, memory_order_release);
}

struct loop *loop_new(unsigned index, struct loop *const *loops, struct accept_turn *turn,
                      void (*on_idle)(void *arg), void *arg)
{
    struct loop *loop = calloc(1, sizeof *loop);
    uint64_t random = 0;
    int r;

    if (!loop)
        return NULL;
    loop->index = index;
    loop->loops = loops;
    loop->turn = turn;
    loop->turn_letter.deliver = server_take_turn;
    loop->has_turn = !index;
    loop->accepting = true;
    loop->limits = (struct guard_limits){.max_fields = GUARD_FIELDS_MAX, .max_trailer = 4096};
    loop->question = (struct loop_question){.mail.deliver = deliver_question, .answered = true};
    list_init(&loop->conns);
    list_init(&loop->fresh);
    list_init(&loop->todo);
    list_init(&loop->held);
    loop->on_idle = on_idle;
    loop->on_idle_arg = arg;
    list_init(&loop->bindings);
    loop->timers.fd = -1;
    list_init(&loop->free_exchanges);
    r = mailbox_init(&loop->mailbox);
    errno = 0;
    loop->base = new_base();
    if (!r && !loop->base)
        r = errno ? -errno : -ENOMEM;
    if (!r && getrandom(&random, sizeof random, 0) != sizeof random)
        r = -errno;
    if (!r && loop->base)
        loop->mail_event =
            event_new(loop->base, loop->mailbox.fd, EV_READ | EV_PERSIST | EV_ET, on_mail, loop);
    if (!r && loop->base)
        r = loop_timers_init(loop);
    if (!r && loop->base)
        loop->attach_event = event_new(loop->base, -1, 0, on_accepted, loop);
    if (r || !loop->mail_event || !loop->attach_event || event_add(loop->mail_event, NULL)) {
        loop_free(loop);
        errno = r ? -r : ENOMEM;
        return NULL;
    }
    loop->random = random;
    snprintf(loop->next_id, sizeof loop->next_id, "%016llx%016d", (unsigned long long)random, 0);
    return loop;
}

static _Thread_local struct loop *current;

struct loop *loop_current(void)
{
    return current;
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    char name[16];

    snprintf(name, sizeof name, "loop/%u", loop->index);
    pthread_setname_np(pthread_self(), name);
    current = loop;
    while (!loop->stopping) {
        bool busy = loop->last_turns || loop->retiring || !list_empty(&loop->todo);

        event_base_loop(loop->base, busy ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
        loop_timers_fire(loop);
        conn_do_pending(loop);
        dispatch_flush(loop);
        access_log_flush(loop);
        server_free_unused(loop);
        if (loop->last_turns)
            server_take_last_turn(loop);
    }
    return NULL;
}

int loop_start(struct loop *loop)
{
    int r = pthread_create(&loop->thread, NULL, loop_main, loop);

    loop->started = !r;
    return -r;
}

struct call {
    struct mail mail;
    struct loop *loop;
    void (*call)(struct loop *loop, void *arg);
    void *arg;
    sem_t done;
};

static void deliver_call(struct mail *mail)
{
    struct call *call = container_of(mail, struct call, mail);

    call->call(call->loop, call->arg);
    sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*call)(struct loop *loop, void *arg), void *arg)
{
    struct call letter = {.mail.deliver = deliver_call, .loop = loop, .call = call, .arg = arg};

    sem_init(&letter.done, 0, 0);
    mailbox_post(&loop->mailbox, &letter.mail);
    while (sem_wait(&letter.done) < 0 && errno == EINTR)
        ;
    sem_destroy(&letter.done);
}

void loop_ask(struct loop *loop)
{
    if (!loop_has_answered(loop))
        return;
    atomic_store_explicit(&loop->question.answered, false, memory_order_relaxed);
    mailbox_post(&loop->mailbox, &loop->question.mail);
}

bool loop_has_answered(const struct loop *loop)
{
    return atomic_load_explicit(&loop->question.answered, memory_order_acquire);
}

static void stop_call(struct loop *loop, void *arg)
{
    (void)arg;
    loop->stopping = true;
}

void loop_stop(struct loop *loop)
{
    if (!loop || !loop->started)
        return;
    loop_call(loop, stop_call, NULL);
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    server_close_bindings(loop);
    conn_drop_prepared(loop);
    exchange_free_spares(loop);
    loop_timers_close(loop);
    if (loop->mail_event)
        event_free(loop->mail_event);
    if (loop->resume_event)
        event_free(loop->resume_event);
    if (loop->attach_event)
        event_free(loop->attach_event);
    if (loop->base)
        event_base_free(loop->base);
    mailbox_close(&loop->mailbox);
    snapshot_done(loop->snapshot, loop->index);
    free(loop);
}

/* A linear congruential generator, of which the upper half is good enough (D. Knuth, The Art of
 * Computer Programming 2, 3.3.4). */
uint32_t loop_random(struct loop *loop)
{
    loop->random = loop->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(loop->random >> 32);
}

const char *loop_date(struct loop *loop)
{
    time_t now = time(NULL);

    if (now != loop->date_second) {
        loop->date_second = now;
        clock_http_date(now, loop->date);
    }
    return loop->date;
}
