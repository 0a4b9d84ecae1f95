/* server.h - the HTTP front end of one loop: evhttp behind our own router.
 *
 * All of it runs on the loop's thread (by loop_call from others). */
#ifndef HANDOFFD_SERVER_H
#define HANDOFFD_SERVER_H

#include "listener.h"
#include "loop.h"
#include "meters.h"
#include "parse_num.h"

struct binding;
struct conn;

/* The loop of a binding: one listener on one loop. */
struct loop *server_binding_loop(const struct binding *binding);

/* For conn.c: counts, and pauses or resumes accepting. */
void server_connection_opened(struct binding *binding);
void server_connection_closed(struct binding *binding);
/* One connection more (+1) or less (-1) is in that state. */
void server_count_connection(struct binding *binding, enum conn_state state, int change);

/* The listener that a connection came in by, as the snapshot numbers them. */
unsigned server_listener_index(const struct conn *conn);
/* Whether that listener has been removed. */
bool server_is_closing(const struct conn *conn);
/* Whether that listener is a unix socket. */
bool server_is_unix(const struct conn *conn);

/* For loop->turn_letter: it is this loop's turn to accept. */
void server_take_turn(struct mail *letter);

/* First step of a change of listeners: makes ready to accept from those of `listeners` that the loop
 * does not have yet.  0 or -errno; then server_abandon takes it back. */
int server_prepare(struct loop *loop, struct listener *const *listeners, size_t n) WARN_UNUSED;
void server_abandon(struct loop *loop);

/* Second step, which cannot fail: new requests see `snapshot`, whose i-th listener is
 * `listeners[i]`; listeners that are not among them accept no more.  Takes its own reference to the
 * snapshot. */
void server_commit(struct loop *loop, struct snapshot *snapshot, struct listener *const *listeners,
                   size_t n);

/* Something that accepting needs is not to be had, for this reason: it goes on in a moment. */
void server_pause(struct loop *loop, int error);

/* Accepts what has connected already and then no more; answers tell clients to close. */
void server_drain(struct loop *loop);

/* For the loop, after each of the turns that a drain still takes to accept and read. */
void server_take_last_turn(struct loop *loop);

/* Connections of a draining loop that may be about to bring another request: those in the middle of
 * one, and those opened or used a moment ago.  Their clients cannot know yet that there will be no
 * answer. */
unsigned server_count_awaited(struct loop *loop);

/* The drain's time is up: what is held back is answered with 503, new blocking work refused. */
void server_refuse(struct loop *loop);

/* Frees what is left of removed listeners once their last connection is closed. */
void server_free_unused(struct loop *loop);

/* Closes every connection.  Nothing may be in flight. */
void server_close_bindings(struct loop *loop);

#endif
