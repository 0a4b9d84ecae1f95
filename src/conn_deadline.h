/* conn_deadline.h - a connection's deadlines and the timer behind them; see conn.c. */
#ifndef HANDOFFD_CONN_DEADLINE_H
#define HANDOFFD_CONN_DEADLINE_H

#include "conn.h"

#include <stdbool.h>
#include <stdint.h>

/* Moves the deadline to `after_ns` from now. */
void conn_set_deadline(struct conn *conn, int64_t after_ns);

/* The same for the one of a body that is read while its request is served: body_timeout from now. */
void conn_set_body_deadline(struct conn *conn);

/* Moves the first to write_timeout from now, and notes what the client has not taken yet. */
void conn_set_write_deadline(struct conn *conn);

/* Whether the client has taken enough since conn_set_write_deadline. */
bool conn_writes_fast_enough(const struct conn *conn);

/* Sets the timer to the next deadline, if there is one. */
void conn_set_timer(struct conn *conn, int64_t now);

#endif
