/* conn.h - a client's connection: reads it through the guard, gives evhttp one whole request at a
 * time, keeps its deadlines and notices when the client leaves.  The loop's thread only. */
#ifndef HANDOFFD_CONN_H
#define HANDOFFD_CONN_H

#include "guard.h"
#include "list.h"
#include "loop_timer.h"
#include "meters.h"
#include "output.h"
#include "parse_num.h"
#include "stash.h"

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
    CONN_STREAMING, /* the same, and a worker has begun to send the answer piece by piece */
    CONN_WRITING,   /* the rest of the answer is on its way out */
    CONN_LINGERING, /* the last answer is out; what still comes in is thrown away */
};

/* Thousands of these wait for a next request: what only a request needs stands in its exchange. */
struct conn {
    struct list link; /* in loop->fresh, then in loop->conns */
    struct list todo; /* in loop->todo: has bytes to go on with */
    struct loop *loop;
    struct binding *binding;
    struct bufferevent *bev;
    struct evhttp_connection *evcon; /* NULL until attached */
    struct evhttp_request *ev;       /* what evhttp waits to have answered; NULL: nothing */
    struct exchange *exchange;       /* the request that is read or answered */
    struct event read_event;
    struct loop_timer timer;
    int fd;
    uint8_t phase;      /* enum conn_phase */
    uint8_t counted;    /* enum conn_state: as what it is counted */
    bool reading;       /* read_event is pending */
    bool returning;     /* a request has been answered, so that evhttp's is kept with the next */
    bool more_behind;   /* bytes follow the request that the guard has completed last */
    bool end_of_stream; /* the client has sent its FIN */
    bool receiving;     /* of the request that is served, more of the body is to come */
    bool body_full;     /* ... but is not read, as the worker is behind */
    bool expects;       /* ... and the client waits for "100 Continue" */
    struct guard guard;
    struct stash stash;  /* bytes behind the request that is being answered */
    int64_t deadline_ns; /* 0: none; a body that is received has another, in its exchange */
    int64_t set_ns;      /* when one was set last: the phase began or bytes came */
    uint64_t unwritten;  /* of the answer, when its deadline was set, and added since then */
    struct output output;
};

struct conf_server;
struct request;

/* For evhttp_set_gencb: evhttp asks for the answer to the request that a connection gave it. */
void conn_on_request(struct evhttp_request *ev, void *binding);

/* Takes over the reading of a connection that evhttp has just made around our bufferevent. */
void conn_attach(struct conn *conn, struct evhttp_connection *evcon);

/* After each turn of the loop: goes on with connections that have bytes of a next request. */
void conn_do_pending(struct loop *loop);

/* Whether a request is half read, or none is and the connection was opened or used since `recent_ns`. */
bool conn_awaits_request(const struct conn *conn, int64_t recent_ns);

/* Closes at once, with what it was about; its exchange must have ended, or be none of a worker's. */
void conn_abort(struct conn *conn);
/* The same, for want of memory, and says so in the log. */
void conn_lose(struct conn *conn);

/* Whether evhttp may be asked for something: it does not survive that memory is refused to it in the
 * middle of that.  False: the connection is better closed. */
bool conn_has_memory(void);

/* ---- conn_answer.c: the answer's way --------------------------------------------------------- */

/* The answer is out whole: on to the next request, or the end.  May free the connection, as all that
 * follow but the last. */
void conn_answered(struct conn *conn, int64_t now_ns);
/* Tells evhttp that the request it waits for is answered. */
void conn_end_request(struct conn *conn);
/* The rest of the answer is in the output. */
void conn_write_rest(struct conn *conn);

/* For request->take_answer: a worker has more of its answer. */
void conn_take_answer(struct request *request);
/* The worker has ended: the answer is whole, or will never be. */
void conn_end_answer(struct conn *conn);
void conn_break_answer(struct conn *conn);

/* The worker has not ended, but its time is over.  Before the head is out: the client's request goes
 * on in an exchange of its own, which is returned; `task` keeps its task and has no client any more.
 * NULL: out of memory, and the connection is closed. */
struct exchange *conn_detach_task(struct exchange *task);
/* Behind the head: the answer is broken off, the connection closed. */
void conn_break_off(struct conn *conn);

/* For output_init. */
void conn_on_writable(struct output *output);

/* ---- conn_body.c: bodies that go to a worker while they arrive ------------------------------- */

/* Makes the stream, with what has come.  0 or -ENOMEM. */
int conn_begin_body(struct conn *conn) WARN_UNUSED;
/* Tells the client to send it. */
void conn_send_continue(struct conn *conn);
/* More of it.  False: the connection may be gone. */
bool conn_receive(struct conn *conn, const char *data, size_t len);
/* The body is complete. */
void conn_received(struct conn *conn);
/* The rest of it is not waited for: what the client sends is not understood from here on. */
void conn_stop_receiving(struct conn *conn);
/* The rest of it is refused: the client gets this answer, unless another has begun.  May free the
 * connection.  `detail` lives for ever. */
void conn_refuse_rest(struct conn *conn, int status, const char *detail);

/* ---- conn.c, for these two ------------------------------------------------------------------- */

const struct conf_server *conn_limits(const struct conn *conn);
void conn_start_reading(struct conn *conn);
void conn_stop_reading(struct conn *conn);
void conn_put_on_todo(struct conn *conn);

/* The client has left: nobody waits for what is being done.  Frees the connection. */
void conn_hang_up(struct conn *conn);

/* While a request is answered and nothing is read or written, somebody has to look now and then
 * whether the client is still there. */
void conn_look_later(struct conn *conn);

#endif
