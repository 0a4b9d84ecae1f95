/* conn_accept.h - from accept(2) to a connection that reads.  The loop's thread only. */
#ifndef HANDOFFD_CONN_ACCEPT_H
#define HANDOFFD_CONN_ACCEPT_H

#include "conn.h"

/* Makes the next connection beforehand, unless it is there.  0, or -ENOMEM: the loop must not accept. */
int conn_prepare(struct loop *loop) WARN_UNUSED;

/* For evhttp_set_bevcb; `binding` is a struct binding.  Takes the connection that is prepared, and
 * prepares another. */
struct bufferevent *conn_new_bufferevent(struct event_base *base, void *binding);

/* Attaches connections that evhttp has just accepted. */
void conn_attach_fresh(struct loop *loop);

/* Frees the connection that is prepared. */
void conn_drop_prepared(struct loop *loop);

#endif
