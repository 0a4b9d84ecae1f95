/* DESIGN
 *
 * A sign of life goes out only when every event loop has turned since the one before: each loop is
 * sent a letter, and each must have read it.  Loops that wait for work answer within microseconds; a
 * loop that is stuck never does, the signs of life stop, and the service manager restarts the daemon.
 * Pools are not asked, since their threads may block as long as they like.
 *
 * Nothing here waits for a loop.  Four ticks fit into the manager's time, so that an answer may be late
 * by half of it before a sign of life is. */
#include "watchdog.h"

#include "clock.h"
#include "log.h"
#include "notify.h"

enum { TICKS = 4 };

static void ask(struct watchdog *watchdog, struct daemon *daemon, int64_t now)
{
    for (unsigned i = 0; i < daemon->n_loops; i++)
        loop_ask(daemon->loops[i]);
    watchdog->asked_ns = now;
    watchdog->told = false;
}

void watchdog_start(struct watchdog *watchdog, struct daemon *daemon)
{
    int64_t now = clock_now_ns();

    *watchdog = (struct watchdog){.limit_ns = notify_watchdog_ns(), .due_ns = INT64_MAX};
    if (!watchdog->limit_ns)
        return;
    ask(watchdog, daemon, now);
    watchdog->due_ns = now + watchdog->limit_ns / TICKS;
}

void watchdog_tick(struct watchdog *watchdog, struct daemon *daemon)
{
    int64_t now = clock_now_ns();
    unsigned i = 0;

    watchdog->due_ns = now + watchdog->limit_ns / TICKS;
    while (i < daemon->n_loops && loop_has_answered(daemon->loops[i]))
        i++;
    if (i == daemon->n_loops) {
        notify_alive();
        ask(watchdog, daemon, now);
    } else if (!watchdog->told && now - watchdog->asked_ns >= watchdog->limit_ns / 2) {
        log_error("event loop %u has not turned for %.1f s; the service manager allows %.1f s", i,
                  (double)(now - watchdog->asked_ns) / (double)NS_PER_SEC,
                  (double)watchdog->limit_ns / (double)NS_PER_SEC);
        watchdog->told = true;
    }
}
