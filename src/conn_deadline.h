/* conn_deadline.h - a connection's deadlines and the timer behind them; see conn.c. */
#ifndef HANDOFFD_CONN_DEADLINE_H
#define HANDOFFD_CONN_DEADLINE_H

#include "conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Moves the deadline to `after_ns` from now; the second one is told what time it is. */
void conn_set_deadline(struct conn *conn, int64_t after_ns);
void conn_set_deadline_at(struct conn *conn, int64_t now_ns, int64_t after_ns);

/* A body begins: for its next bytes the client has body_timeout; for all of it ten times that, and
 * longer as bytes come, at a minimum rate. */
void conn_begin_body_deadline(struct conn *conn);

/* So many bytes of it have come.  While the body is read for a worker (`receiving`) this and the next
 * two work on a deadline of its own. */
void conn_move_body_deadline(struct conn *conn, size_t came);

/* The socket is not read, which is not the client's fault; it is read again. */
void conn_pause_body_deadline(struct conn *conn);
void conn_resume_body_deadline(struct conn *conn);

/* Moves the first to write_timeout from now, and notes what the client has not taken yet. */
void conn_set_write_deadline(struct conn *conn);

/* Whether the client has taken enough since conn_set_write_deadline. */
bool conn_writes_fast_enough(const struct conn *conn);

/* Sets the timer to the next deadline, if there is one. */
void conn_set_timer(struct conn *conn);

/* conn.c: the timer has come. */
void conn_on_time(struct loop_timer *timer);

#endif
