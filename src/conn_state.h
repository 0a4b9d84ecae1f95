/* conn_state.h - counts connections by what they are doing.  The loop's thread only. */
#ifndef HANDOFFD_CONN_STATE_H
#define HANDOFFD_CONN_STATE_H

#include "conn.h"

/* A new connection, whatever it is doing; when it does something else; and before it goes, with what
 * of an answer could not be sent. */
void conn_state_begin(struct conn *conn);
void conn_state_update(struct conn *conn);
void conn_state_end(struct conn *conn);

/* What is still in the output will never be sent. */
void conn_state_forget_unsent(const struct conn *conn);

#endif
