/* server.h - the HTTP front end of one loop: evhttp behind our own router.
 *
 * All of it runs on the loop's thread (by loop_call from others). */
#ifndef HANDOFFD_SERVER_H
#define HANDOFFD_SERVER_H

#include "listener.h"
#include "loop.h"
#include "parse_num.h"

/* First step of a change of listeners: makes ready to accept from those of `listeners` that the loop
 * does not have yet.  0 or -errno; then server_abandon takes it back. */
int server_prepare(struct loop *loop, struct listener *const *listeners, size_t n) WARN_UNUSED;
void server_abandon(struct loop *loop);

/* Second step, which cannot fail: new requests see `snapshot`, whose i-th listener is
 * `listeners[i]`; listeners that are not among them accept no more.  Takes its own reference to the
 * snapshot. */
void server_commit(struct loop *loop, struct snapshot *snapshot, struct listener *const *listeners,
                   size_t n);

/* Accepts what has connected already and then no more; answers tell clients to close. */
void server_drain(struct loop *loop);

/* For the loop, after each of the turns that a drain still takes to accept and read. */
void server_take_last_turn(struct loop *loop);

/* The drain's time is up: what is held back is answered with 503, new blocking work refused. */
void server_refuse(struct loop *loop);

/* Closes every connection.  Nothing may be in flight. */
void server_close_bindings(struct loop *loop);

#endif
