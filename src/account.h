/* account.h - what a request leaves behind: counts, times.  The loop's thread only. */
#ifndef HANDOFFD_ACCOUNT_H
#define HANDOFFD_ACCOUNT_H

#include "exchange.h"

/* The status under which a request is counted whose client left before it was answered. */
enum { STATUS_CLIENT_GONE = 499 };

/* The request's route is known, or that it has none.  Again is harmless. */
void account_begin(struct exchange *exchange);

/* The request's task goes to its pool; it has come back, run or not. */
void account_task_submitted(struct exchange *exchange);
void account_task_returned(struct exchange *exchange, int64_t now_ns);

/* The request is over.  Counted before a client that has its whole answer could look. */
void account_end(struct exchange *exchange, int64_t now_ns);

#endif
