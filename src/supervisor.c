/* DESIGN
 *
 * The main thread does no work of its own: it starts the others, then waits for signals (signalfd,
 * blocked before any thread is made, so that every thread inherits the mask) and for the eventfd by
 * which threads ask to be reaped and loops say that they are idle.
 *
 * Stop, in this order: loops accept no more; what runs, waits or is held is finished, and clients that
 * may be about to send a request are given a moment to do so, until the drain's time is up or a second
 * signal comes; then waiting tasks are answered with 503, running ones cancelled; when nothing is in
 * flight any more, loops and pools end and everything is freed. */
#include "supervisor.h"

#include "clock.h"
#include "daemon.h"
#include "json_text.h"
#include "log.h"
#include "notify.h"
#include "reload.h"
#include "server.h"
#include "starvation.h"
#include "status_json.h"
#include "watchdog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    STATUS_INTERVAL_MS = 5000,
    FORCED_STOP_MS = 5000,
    /* A stop that takes long tells that it goes on every second; if it falls silent, the service
     * manager may end it after ten. */
    DRAIN_REPORT_MS = 1000,
    DRAIN_EXTEND_MS = 10000,
    LOOK_MS = 20,
};

struct supervisor {
    struct daemon daemon;
    struct watchdog watchdog;
    struct starvation starvation;
    int signal_fd;
    int stop_signals;   /* how often a stop was asked for */
    struct strbuf note; /* what the last reload left to say */
};

/* ---- status ---------------------------------------------------------------------------------- */

static void describe(const struct supervisor *s, struct strbuf *out)
{
    const struct snapshot *now = s->daemon.snapshot;

    if (s->note.len)
        strbuf_addf(out, "%s; ", strbuf_cstr(&s->note));
    starvation_describe(&s->starvation, out);
    strbuf_adds(out, "serving");
    for (size_t i = 0; i < now->conf->n_listeners; i++)
        strbuf_addf(out, " %s=%s", now->conf->listeners[i].name, now->bound[i]);
    for (size_t i = 0; i < now->conf->n_pools; i++) {
        struct pool_stats stats;

        pool_get_stats(now->pools[i], &stats);
        strbuf_addf(out, "; pool %s: %u of %u busy, %u queued", now->conf->pools[i].name,
                    stats.busy, stats.threads, stats.books.queued);
    }
}

static void tell_status(const struct supervisor *s, void (*tell)(const char *status))
{
    struct strbuf text = {0};

    describe(s, &text);
    tell(text.failed ? "serving" : strbuf_cstr(&text));
    strbuf_free(&text);
}

static void log_status(const struct supervisor *s)
{
    json_t *document = status_json(s->daemon.snapshot);
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;

    if (!json_text_was_refused() && text)
        log_whole(LOG_LEVEL_NOTICE, text);
    else
        log_error("no memory for the status");
    free(text);
    json_decref(document);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Process 1 of a container and a subreaper (prctl(2)) become parents of processes that others have left
 * behind, as a program may that has left its group. */
static bool adopts_orphans(void)
{
    int subreaper = 0;

    return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
}

/* It is always the first thread that adopts, and this one.  Programs are children of the worker that
 * has started them and will ask for their status, so children of other threads are left alone. */
static void reap_orphans(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
        ;
}

static void handle_signal(struct supervisor *s, int signal)
{
    switch (signal) {
    case SIGHUP:
        if (s->stop_signals)
            break;
        notify_reloading();
        s->note.len = 0;
        reload_run(&s->daemon, &s->note);
        tell_status(s, notify_ready);
        break;
    case SIGUSR1:
        log_status(s);
        break;
    case SIGCHLD:
        reap_orphans();
        break;
    default:
        s->stop_signals++;
        log_notice("%s: %s", strsignal(signal),
                   s->stop_signals == 1 ? "finishing what is in flight" : "stopping at once");
    }
}

/* Waits for one event, at most until `deadline_ns`, and handles it.  False: the deadline is over. */
static bool wait_for_event(struct supervisor *s, int64_t deadline_ns)
{
    struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                           {.fd = s->daemon.wake_fd, .events = POLLIN}};
    int64_t due = s->watchdog.due_ns < deadline_ns ? s->watchdog.due_ns : deadline_ns;
    int64_t left = due - clock_now_ns();
    struct timespec timeout = clock_to_timespec(left > 0 ? left : 0);
    struct signalfd_siginfo info;
    uint64_t count;
    int events = ppoll(fds, 2, &timeout, NULL);

    if (clock_now_ns() >= s->watchdog.due_ns)
        watchdog_tick(&s->watchdog, &s->daemon);
    if (events <= 0)
        return clock_now_ns() < deadline_ns;
    if (fds[1].revents && read(s->daemon.wake_fd, &count, sizeof count) == sizeof count)
        daemon_reap(&s->daemon);
    if (fds[0].revents && read(s->signal_fd, &info, sizeof info) == sizeof info)
        handle_signal(s, (int)info.ssi_signo);
    return true;
}

static void serve(struct supervisor *s)
{
    int64_t due = clock_now_ns() + STATUS_INTERVAL_MS * NS_PER_MS;

    while (!s->stop_signals) {
        bool changed = clock_now_ns() >= s->starvation.due_ns &&
                       starvation_look(&s->starvation, s->daemon.snapshot);

        if (changed || clock_now_ns() >= due) {
            tell_status(s, notify_status);
            due = clock_now_ns() + STATUS_INTERVAL_MS * NS_PER_MS;
        }
        wait_for_event(s, due < s->starvation.due_ns ? due : s->starvation.due_ns);
        /* The threads of a removed pool may be busy for long before one ends and says so. */
        if (s->daemon.n_retired)
            daemon_reap(&s->daemon);
    }
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void drain_call(struct loop *loop, void *arg)
{
    (void)arg;
    server_drain(loop);
}

static void refuse_call(struct loop *loop, void *arg)
{
    (void)arg;
    server_refuse(loop);
}

struct tally {
    unsigned requests; /* in flight */
    unsigned loops;    /* that still accept what had connected */
    unsigned awaited;  /* connections whose next request may be on its way */
};

static void count_call(struct loop *loop, void *arg)
{
    struct tally *tally = arg;

    tally->requests += loop->in_flight;
    tally->loops += loop->last_turns > 0;
    tally->awaited += server_count_awaited(loop);
}

static struct tally count(struct supervisor *s)
{
    struct tally tally = {0};

    daemon_call_loops(&s->daemon, count_call, &tally);
    return tally;
}

static bool is_busy(const struct tally *tally)
{
    return tally->requests || tally->loops;
}

static void tell_draining(unsigned count, int64_t left_ns)
{
    char text[128];

    snprintf(text, sizeof text, "stopping: finishing %u request%s, for %lld s at most", count,
             count == 1 ? "" : "s", (long long)((left_ns + NS_PER_SEC - 1) / NS_PER_SEC));
    notify_draining(DRAIN_EXTEND_MS * NS_PER_MS, text);
}

/* Waits until nothing is in flight and no request is on its way.  False: the deadline came first. */
static bool finish_in_flight(struct supervisor *s, int64_t deadline)
{
    int64_t now = clock_now_ns(), report = now;
    struct tally tally = count(s);

    for (; (is_busy(&tally) || tally.awaited) && s->stop_signals < 2; tally = count(s)) {
        int64_t due = deadline;

        now = clock_now_ns();
        if (now >= deadline)
            return !is_busy(&tally);
        if (tally.requests && now >= report) {
            tell_draining(tally.requests, deadline - now);
            report = now + DRAIN_REPORT_MS * NS_PER_MS;
        }
        /* A loop tells when it has become idle, but nobody tells that a client keeps silent. */
        if (!is_busy(&tally))
            due = now + LOOK_MS * NS_PER_MS;
        else if (tally.requests)
            due = report;
        wait_for_event(s, due < deadline ? due : deadline);
    }
    return true;
}

static void drain(struct supervisor *s)
{
    const struct conf_server *conf = &s->daemon.snapshot->conf->server;
    int64_t deadline = clock_now_ns() + conf->drain_timeout;

    atomic_store(&s->daemon.vitals.draining, true);
    for (size_t i = 0; i < s->daemon.snapshot->conf->n_listeners; i++)
        listener_turn_away(s->daemon.listeners[i]);
    daemon_call_loops(&s->daemon, drain_call, NULL);
    notify_stopping("stopping");
    for (size_t i = 0; i < s->daemon.snapshot->conf->n_listeners; i++)
        listener_stop(s->daemon.listeners[i]);
    if (!finish_in_flight(s, deadline))
        log_warning("drain_timeout is over with %u requests in flight", count(s).requests);
}

static void cut_short(struct pool *pool)
{
    pool_refuse_queued(pool);
    pool_cancel_running(pool);
}

/* Turns out what waits and cancels what runs.  False: something does not end. */
static bool refuse_the_rest(struct supervisor *s)
{
    const struct snapshot *now = s->daemon.snapshot;
    int64_t deadline = clock_now_ns() + FORCED_STOP_MS * NS_PER_MS;

    notify_draining(DRAIN_EXTEND_MS * NS_PER_MS, "stopping: refusing what is left");
    daemon_call_loops(&s->daemon, refuse_call, NULL);
    for (size_t i = 0; i < now->conf->n_pools; i++)
        cut_short(now->pools[i]);
    for (size_t i = 0; i < s->daemon.n_retired; i++)
        cut_short(s->daemon.retired[i].pool);
    for (struct tally tally = count(s); is_busy(&tally); tally = count(s))
        if (!wait_for_event(s, deadline))
            return false;
    return true;
}

static void stop(struct supervisor *s)
{
    struct tally tally;

    drain(s);
    tally = count(s);
    if (is_busy(&tally) && !refuse_the_rest(s)) {
        /* Threads that do not end cannot be joined, and their memory cannot be freed. */
        log_error("%u requests do not end; leaving them", count(s).requests);
        _exit(EX_OK);
    }
    daemon_stop(&s->daemon);
}

/* ---- starting -------------------------------------------------------------------------------- */

static int block_signals(struct supervisor *s)
{
    sigset_t set, alarm;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* write(2) says EFBIG as well */
    /* A parent may leave it ignored, and then no program could be waited for. */
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    if (adopts_orphans())
        sigaddset(&set, SIGCHLD);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM); /* notify.c lets it through to this thread alone */
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) || pthread_sigmask(SIG_BLOCK, &alarm, NULL))
        return -EINVAL;
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd < 0 ? -errno : 0;
}

static int fail_start(struct supervisor *s, int status, int error, const char *what)
{
    log_prepare_exit();
    log_error("cannot start: %s", what);
    notify_failed(error, what);
    daemon_stop(&s->daemon);
    return status;
}

static int start(struct supervisor *s, const struct conf_source *source, struct conf *conf)
{
    struct reload_failure failure = {0};
    int r = daemon_init(&s->daemon, source);

    if (!r)
        r = block_signals(s);
    if (!r)
        r = daemon_start_loops(&s->daemon, conf);
    if (r) {
        conf_free(conf);
        return fail_start(s, EX_OSERR, -r, strerror(-r));
    }
    r = reload_apply(&s->daemon, conf, &failure);
    if (r)
        r = fail_start(s, failure.of_listener && r != -ENOMEM ? EX_UNAVAILABLE : EX_OSERR, -r,
                       strbuf_cstr(&failure.why));
    strbuf_free(&failure.why);
    return r;
}

int supervisor_run(const struct conf_source *source, struct conf *conf)
{
    struct supervisor s = {.signal_fd = -1, .watchdog.due_ns = INT64_MAX};
    int status = start(&s, source, conf);

    if (!status) {
        watchdog_start(&s.watchdog, &s.daemon);
        if (adopts_orphans())
            reap_orphans(); /* of what it was before execve(2) */
        log_notice("handoffd " HANDOFFD_VERSION " ready");
        tell_status(&s, notify_ready);
        serve(&s);
        stop(&s);
        log_prepare_exit();
        log_notice("stopped");
    }
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    strbuf_free(&s.note);
    starvation_clear(&s.starvation);
    return status;
}
