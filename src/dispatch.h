/* dispatch.h - runs a routed request: on the loop, or in its pool.  The loop's thread only. */
#ifndef HANDOFFD_DISPATCH_H
#define HANDOFFD_DISPATCH_H

#include "exchange.h"

struct loop;

/* Takes an exchange whose request has its route, and sees to it that it is answered: at once for
 * loop actions, later for blocking ones. */
void dispatch_run(struct exchange *exchange);

/* The client of an exchange that is being answered has gone: a task that waits never runs, one that
 * runs is cancelled.  The exchange ends, now or when its task comes back. */
void dispatch_abandon(struct exchange *exchange);

/* The answer to an exchange that is being served shall be this one, and the last on its connection: at
 * once when its task has not begun, else when it has ended, which it is told to do.  `detail` lives
 * for ever.  May free the connection. */
void dispatch_refuse(struct exchange *exchange, int status, const char *detail);

/* Submits the blocking requests of this turn, one batch for each pool. */
void dispatch_flush(struct loop *loop);

#endif
