/* watchdog.h - tells the service manager that the daemon is alive, as long as that is true.  The
 * supervisor's thread only. */
#ifndef HANDOFFD_WATCHDOG_H
#define HANDOFFD_WATCHDOG_H

#include "daemon.h"

#include <stdbool.h>
#include <stdint.h>

struct watchdog {
    int64_t limit_ns; /* what the manager allows between two signs of life; 0: it does not watch */
    int64_t due_ns;   /* of the next tick; INT64_MAX: never */
    int64_t asked_ns; /* when the loops were asked last */
    bool told;        /* that a loop does not turn, since they were asked */
};

/* Once every loop has been started. */
void watchdog_start(struct watchdog *watchdog, struct daemon *daemon);

/* To be called at `due_ns`, or a little later. */
void watchdog_tick(struct watchdog *watchdog, struct daemon *daemon);

#endif
