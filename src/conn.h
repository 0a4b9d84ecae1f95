/* conn.h - a client's connection: reads it through the guard, gives evhttp one whole request at a
 * time, keeps its deadlines and notices when the client leaves.  The loop's thread only. */
#ifndef HANDOFFD_CONN_H
#define HANDOFFD_CONN_H

#include "guard.h"
#include "list.h"
#include "meters.h"

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binding;
struct bufferevent;
struct event_base;
struct evhttp_connection;
struct evhttp_request;
struct exchange;
struct loop;

enum conn_phase {
    CONN_READING,   /* waits for a request or is in the middle of one */
    CONN_BUSY,      /* a request is being answered */
    CONN_WRITING,   /* the answer is on its way out of evhttp's buffer */
    CONN_LINGERING, /* the last answer is out; what still comes in is thrown away */
};

struct conn {
    struct list link; /* in loop->fresh, then in loop->conns */
    struct list todo; /* in loop->todo: has bytes to go on with */
    struct loop *loop;
    struct binding *binding;
    struct bufferevent *bev;
    struct evhttp_connection *evcon; /* NULL until attached */
    struct exchange *exchange;       /* the request that is read or answered */
    struct event read_event;
    struct event timer;
    int fd;
    enum conn_phase phase;
    enum conn_state counted; /* as what it is counted */
    bool reading;            /* read_event is pending */
    bool more_behind;        /* bytes follow the request that the guard has completed last */
    bool end_of_stream;      /* the client has sent its FIN */
    struct guard_limits limits;
    struct guard guard;
    char *stash; /* bytes behind the request that is being answered */
    size_t stash_len;
    size_t stash_size;
    int64_t deadline_ns; /* 0: none */
    int64_t set_ns;      /* when the deadline was set: the phase began or bytes came */
    int64_t timer_ns;    /* when the timer fires; 0: it is not set */
    size_t unwritten;    /* of the answer, when its deadline was set */
};

/* For evhttp_set_bevcb; `binding` is a struct binding. */
struct bufferevent *conn_new_bufferevent(struct event_base *base, void *binding);

/* For evhttp_set_gencb: evhttp asks for the answer to the request that a connection gave it. */
void conn_on_request(struct evhttp_request *ev, void *binding);

/* Takes over the reading of connections that evhttp has just accepted. */
void conn_attach_fresh(struct loop *loop);

/* After each turn of the loop: goes on with connections that have bytes of a next request. */
void conn_do_pending(struct loop *loop);

/* Whether a request is half read, or none is and the connection was opened or used since `recent_ns`. */
bool conn_awaits_request(const struct conn *conn, int64_t recent_ns);

/* For reply.c.  The answer is out whole: on to the next request, or the end. */
void conn_answered(struct conn *conn, struct evhttp_request *ev);
/* The rest of the answer is in evhttp's buffer. */
void conn_write_rest(struct conn *conn, struct evhttp_request *ev);
/* Closes at once, with what it was about; its exchange must have ended. */
void conn_abort(struct conn *conn);

#endif
