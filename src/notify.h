/* notify.h - every message to the service manager (sd_notify(3)).  The supervisor's thread only.
 * Without NOTIFY_SOCKET, or built without libsystemd, nothing happens.  A manager that does not read
 * holds the caller up for half a second at most. */
#ifndef HANDOFFD_NOTIFY_H
#define HANDOFFD_NOTIFY_H

#include <stdint.h>

void notify_ready(const char *status);
/* With the time stamp that Type=notify-reload asks for. */
void notify_reloading(void);
void notify_stopping(const char *status);
/* Nothing when it is what was told last. */
void notify_status(const char *status);
/* A stop that goes on: the manager is to wait for the next message for `extend_ns` from now, even if
 * its own time for a stop is over. */
void notify_draining(int64_t extend_ns, const char *status);
/* A start that failed; `error` is an errno value. */
void notify_failed(int error, const char *status);

/* How soon after each notify_alive the manager wants the next one, or it ends the process; 0: it does
 * not watch. */
int64_t notify_watchdog_ns(void);
void notify_alive(void);

/* "yes" or "no", for --version. */
const char *notify_built_in(void);

#endif
