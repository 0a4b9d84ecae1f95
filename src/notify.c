/* DESIGN
 *
 * sd_notify(3) blocks while the manager's socket is full, and a manager that does not read must not
 * keep this daemon from reloading or stopping.  So every call is given a limited time: an interval
 * timer's SIGALRM interrupts the send.  The signal is blocked everywhere and let through to this
 * thread during the call only; the timer repeats, in case it fires before the send has begun.
 *
 * Each call opens a socket; a spare descriptor makes room for it when clients have taken all others.
 * It is there before the first message, so that whoever counts descriptors after it counts it, too. */
#include "notify.h"

#ifdef HAVE_SYSTEMD
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { LIMIT_MS = 500, STATUS_LIMIT_MS = 10, MAX_TEXT = 4096 };

static int spare_fd = -1;

static void take_spare(void)
{
    if (spare_fd < 0)
        spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void give_spare(void)
{
    if (spare_fd >= 0)
        close(spare_fd);
    spare_fd = -1;
}

static void interrupt(int signal)
{
    (void)signal;
}

static void send_within(int limit_ms, const char *text)
{
    const struct sigaction action = {.sa_handler = interrupt};
    const struct timeval limit = {.tv_usec = (suseconds_t)limit_ms * 1000};
    const struct itimerval armed = {.it_value = limit, .it_interval = limit}, disarmed = {0};
    sigset_t alarm;
    int r;

    if (!getenv("NOTIFY_SOCKET"))
        return;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &armed, NULL);
    take_spare();
    r = sd_notify(0, text);
    if (r == -EMFILE || r == -ENFILE) {
        give_spare();
        sd_notify(0, text);
        take_spare();
    }
    setitimer(ITIMER_REAL, &disarmed, NULL);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL);
}

static void send_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void send_format(const char *fmt, ...)
{
    char text[MAX_TEXT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    send_within(LIMIT_MS, text);
}

const char *notify_built_in(void)
{
    return "yes";
}

void notify_ready(const char *status)
{
    send_format("READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
    send_format("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading the configuration",
                (long long)(clock_now_ns() / NS_PER_US));
}

void notify_stopping(const char *status)
{
    send_format("STOPPING=1\nSTATUS=%s", status);
}

void notify_status(const char *status)
{
    static char last[MAX_TEXT];
    char text[MAX_TEXT];

    snprintf(text, sizeof text, "STATUS=%s", status);
    if (!strcmp(text, last))
        return;
    snprintf(last, sizeof last, "%s", text);
    send_within(STATUS_LIMIT_MS, text);
}

void notify_draining(int64_t extend_ns, const char *status)
{
    send_format("EXTEND_TIMEOUT_USEC=%lld\nSTATUS=%s", (long long)(extend_ns / NS_PER_US), status);
}

void notify_failed(int error, const char *status)
{
    send_format("ERRNO=%d\nSTATUS=%s", error, status);
}

int64_t notify_watchdog_ns(void)
{
    uint64_t usec = 0;

    if (sd_watchdog_enabled(0, &usec) <= 0 || usec > INT64_MAX / NS_PER_US)
        return 0;
    return (int64_t)usec * NS_PER_US;
}

void notify_alive(void)
{
    send_within(LIMIT_MS, "WATCHDOG=1");
}

#else

const char *notify_built_in(void)
{
    return "no";
}

void notify_ready(const char *status)
{
    (void)status;
}

void notify_reloading(void)
{
}

void notify_stopping(const char *status)
{
    (void)status;
}

void notify_status(const char *status)
{
    (void)status;
}

void notify_draining(int64_t extend_ns, const char *status)
{
    (void)extend_ns;
    (void)status;
}

void notify_failed(int error, const char *status)
{
    (void)error;
    (void)status;
}

int64_t notify_watchdog_ns(void)
{
    return 0;
}

void notify_alive(void)
{
}

#endif
