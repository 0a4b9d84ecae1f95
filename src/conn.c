/* DESIGN
 *
 * evhttp reads nothing from the network.  When it has accepted a connection, its bufferevent is taken
 * off the socket's reading side (its read event is assigned to no descriptor) and an event of our own
 * reads into the loop's buffer.  That is done by an event that is activated while evhttp accepts: it
 * runs before libevent polls again, so that not a byte can be read before it.  Every byte goes through
 * the guard; what comes out becomes an exchange.  When a request is complete, evhttp is given a
 * constant, minimal one instead, which makes it call back for the answer and then keep the connection
 * or close it.
 *
 * What evhttp does for each request is half of all that a small answer costs, and none of it is needed
 * between two requests of one connection.  So from a client's second request on it is left to wait for
 * the answer to the one it has until the connection ends: to evhttp that is one request, however many
 * are answered.  The first is ended at once, as many a client comes back no more and an ended one takes
 * less memory; so is that of a client that has been idle when the timer comes.
 *
 * One request at a time is with evhttp.  Bytes that come meanwhile are stashed, to a limit, behind
 * which the socket is not read any more; they are taken up when the answer is out, at the end of the
 * loop's turn, so that a client with a thousand requests in one packet takes its turns like others.
 *
 * Reading goes on while a request is answered, so that a client that leaves is noticed at once: its
 * waiting task then never runs, its running one is cancelled.  The connection goes; the exchange stays
 * until its task comes back.
 *
 * Deadlines.  A connection has one at a time, by its phase, another one while a body is read for a
 * worker, and one timer for both.  Moving a deadline back costs nothing: the timer fires at the old
 * time, sees that it is too early and is set again.
 *
 * Who frees what: evhttp owns the connection and tells by its close callback that it goes, whatever
 * the reason; that alone frees a conn. */
#include "conn.h"

#include "clock.h"
#include "conn_deadline.h"
#include "conn_state.h"
#include "dispatch.h"
#include "exchange.h"
#include "intake.h"
#include "log.h"
#include "loop.h"
#include "reply.h"
#include "server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_struct.h>
#include <event2/http.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    STASH_MAX = 32 << 10,
    LOOK_MS = 100,
};

/* Thousands of connections may be idle, and this is what each costs beside evhttp's 1.9 KiB: grow it with
 * a reason. */
_Static_assert(sizeof(struct conn) <= sizeof(struct event) + 304, "an idle connection is small");

static const char LATE_BODY[] = "the body came too slowly, or none of it within body_timeout";

const struct conf_server *conn_limits(const struct conn *conn)
{
    return &conn->loop->snapshot->conf->server;
}

/* ---- reading on and off ---------------------------------------------------------------------- */

void conn_start_reading(struct conn *conn)
{
    if (!conn->reading && !conn->end_of_stream && !conn->body_full &&
        event_add(&conn->read_event, NULL) == 0)
        conn->reading = true;
}

void conn_stop_reading(struct conn *conn)
{
    if (conn->reading)
        event_del(&conn->read_event);
    conn->reading = false;
}

void conn_put_on_todo(struct conn *conn)
{
    if (list_empty(&conn->todo))
        list_add_tail(&conn->loop->todo, &conn->todo);
}

/* ---- giving a request to evhttp -------------------------------------------------------------- */

static struct exchange *begin_exchange(struct conn *conn)
{
    struct exchange *x = exchange_begin(conn->loop);

    if (!x)
        return NULL;
    x->conn = conn;
    conn->exchange = x;
    return x;
}

/* The exchange is ready to be run or answered.  May free the connection. */
static void give_to_evhttp(struct conn *conn)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    struct loop *loop = conn->loop;
    bufferevent_data_cb on_read;
    void *arg;
    int r;

    conn->phase = CONN_BUSY;
    conn_state_update(conn);
    conn->deadline_ns = 0;
    if (conn->ev) {
        intake_run(conn->exchange);
        return;
    }
    if (!conn_has_memory()) {
        conn_lose(conn);
        return;
    }
    evbuffer_unfreeze(input, 0);
    r = evbuffer_add(input, request, sizeof request - 1);
    evbuffer_freeze(input, 0);
    bufferevent_getcb(conn->bev, &on_read, NULL, NULL, &arg);
    if (r || !on_read) {
        conn_abort(conn);
        return;
    }
    loop->giving = conn;
    on_read(conn->bev, arg);
    loop->giving = NULL;
}

void conn_on_request(struct evhttp_request *ev, void *binding)
{
    struct loop *loop = server_binding_loop(binding);
    struct conn *conn = loop->giving;

    loop->giving = NULL;
    if (!conn) {
        /* Nothing but what the guard has passed may come here. */
        evhttp_connection_free(evhttp_request_get_connection(ev));
        return;
    }
    conn->ev = ev;
    intake_run(conn->exchange);
}

static void refuse(struct conn *conn, const struct guard_head *head, int status, const char *detail)
{
    struct exchange *x = conn->exchange ? conn->exchange : begin_exchange(conn);

    if (conn->receiving) {
        conn_refuse_rest(conn, status, detail);
        return;
    }
    if (!x) {
        conn_lose(conn);
        return;
    }
    intake_refuse(x, head, status, detail);
    give_to_evhttp(conn);
}

/* ---- what the guard tells -------------------------------------------------------------------- */

/* False: the request has been answered without its body, or the connection is gone. */
static bool take_head(struct conn *conn, const struct guard_head *head)
{
    struct exchange *x = begin_exchange(conn);
    uint64_t max_body;

    if (!x) {
        conn_lose(conn);
        return false;
    }
    intake_head(x, head);
    max_body = intake_max_body(x);
    guard_set_max_body(&conn->guard, max_body);
    if (!head->has_body)
        return true;
    conn_begin_body_deadline(conn);
    if (!head->expect_continue)
        return true;
    if (x->request.response.status) {
        /* RFC 9110, 10.1.1: the final answer instead of 100; the body may come or not, so nothing
         * behind this request can be understood. */
        x->close = x->linger = true;
        give_to_evhttp(conn);
        return false;
    }
    if (intake_streams_body(x))
        conn->expects = true; /* until the worker asks for the body */
    else if (head->chunked || head->content_length <= max_body)
        conn_send_continue(conn);
    return true;
}

/* False: no more bytes are wanted. */
static bool take_body(struct conn *conn, const struct guard_event *event)
{
    if (conn->receiving)
        return conn_receive(conn, event->data, event->len);
    conn_move_body_deadline(conn, event->len);
    if (!intake_body(conn->exchange, event->data, event->len))
        return true;
    refuse(conn, NULL, 503, "out of memory");
    return false;
}

static void take_fault(struct conn *conn, const struct guard_event *event)
{
    const struct guard_fault *fault = event->fault;
    uint64_t limit = conn->receiving ? 0 : intake_limit(conn, fault);
    char detail[128];

    snprintf(detail, sizeof detail, "%s Allowed: %llu.", fault->reason, (unsigned long long)limit);
    refuse(conn, event->head, (int)fault->status, limit ? detail : fault->reason);
}

/* The body does not come whole with its head, and its action takes it as it comes. */
static void begin_to_receive(struct conn *conn)
{
    if (conn_begin_body(conn))
        refuse(conn, NULL, 503, "out of memory");
    else
        give_to_evhttp(conn);
}

/* False: no more bytes are wanted now, or the connection is gone. */
static bool take_event(struct conn *conn, const struct guard_event *event)
{
    switch (event->type) {
    case GUARD_HEAD:
        return take_head(conn, event->head);
    case GUARD_BODY:
        return take_body(conn, event);
    case GUARD_END:
        if (conn->receiving)
            conn_received(conn);
        else
            give_to_evhttp(conn);
        return false;
    case GUARD_FAULT:
        take_fault(conn, event);
        return false;
    case GUARD_MORE:
        if (guard_phase(&conn->guard) == GUARD_IN_BODY && conn->phase == CONN_READING &&
            intake_streams_body(conn->exchange))
            begin_to_receive(conn);
        break;
    }
    return false;
}

/* Feeds the guard until a request is complete or the bytes are used up.  Returns how many bytes were
 * used; `*gone` tells that the connection does not exist any more. */
static size_t feed(struct conn *conn, const char *data, size_t len, bool *gone)
{
    struct loop *loop = conn->loop;
    struct guard_event *event = &loop->guard_event;
    size_t used = 0;
    bool idle = guard_phase(&conn->guard) == GUARD_IDLE;
    bool more = true;

    loop->freed = NULL;
    loop->feeding = conn;
    while (more) {
        used += guard_feed(&conn->guard, data + used, len - used, event);
        conn->more_behind = used < len;
        more = take_event(conn, event);
    }
    *gone = loop->freed == conn;
    loop->feeding = NULL;
    if (!*gone)
        conn_state_update(conn);
    if (!*gone && conn->phase == CONN_READING && idle && guard_phase(&conn->guard) == GUARD_IN_HEAD)
        conn_set_deadline(conn, conn_limits(conn)->header_timeout);
    return used;
}

/* ---- the client's end ------------------------------------------------------------------------ */

/* Whether a request is with its action or its pool. */
static bool is_served(const struct conn *conn)
{
    return conn->exchange && (conn->phase == CONN_BUSY || conn->phase == CONN_STREAMING);
}

void conn_hang_up(struct conn *conn)
{
    struct exchange *x = conn->exchange;

    if (is_served(conn)) {
        conn_state_forget_unsent(conn);
        output_clear(&conn->output); /* it may hold what the exchange owns */
        conn->exchange = NULL;
        x->conn = NULL;
        dispatch_abandon(x);
    }
    conn_abort(conn);
}

/* Whether a FIN of the client means that nobody waits for the task any more. */
static bool is_abandoned(const struct conn *conn, bool fin)
{
    const struct exchange *x = conn->exchange;

    return fin && x && is_served(conn) && x->with_pool &&
           conn_limits(conn)->half_close == CONF_HALF_CLOSE_ABORT;
}

/* While a request is answered and the socket is not read, somebody has to look now and then whether
 * the client is still there. */
void conn_look_later(struct conn *conn)
{
    if (is_served(conn) && !conn->reading && !conn->output.waiting)
        conn_set_deadline(conn, LOOK_MS * NS_PER_MS);
}

static void look(struct conn *conn)
{
    struct pollfd poll_fd = {.fd = conn->fd, .events = POLLRDHUP};
    int seen = poll(&poll_fd, 1, 0) > 0 ? poll_fd.revents : 0;
    bool fin = seen & POLLRDHUP;

    /* In front of the FIN there may be more of a body. */
    if (fin && !conn->receiving)
        conn->end_of_stream = true;
    if ((seen & (POLLERR | POLLHUP)) || is_abandoned(conn, fin || conn->end_of_stream))
        conn_hang_up(conn);
    else
        conn_look_later(conn);
}

static void on_end_of_stream(struct conn *conn)
{
    bool nothing_left = conn->phase == CONN_LINGERING || conn->receiving ||
                        (conn->phase == CONN_READING && !conn->stash.len);

    conn->end_of_stream = true;
    conn_stop_reading(conn);
    if (nothing_left || is_abandoned(conn, conn->end_of_stream))
        conn_hang_up(conn);
    else
        conn_look_later(conn);
}

static void take_bytes(struct conn *conn, const char *data, size_t len)
{
    bool gone = false;
    size_t used = 0;

    if (conn->phase == CONN_LINGERING)
        return;
    if (conn->receiving || (conn->phase == CONN_READING && !conn->stash.len))
        used = feed(conn, data, len, &gone);
    if (gone || used == len || conn->phase == CONN_LINGERING)
        return;
    if (stash_add(&conn->stash, data + used, len - used)) {
        conn_hang_up(conn);
        return;
    }
    if (conn->stash.len >= STASH_MAX)
        conn_stop_reading(conn);
    if (conn->phase == CONN_READING)
        conn_put_on_todo(conn);
    else
        conn_look_later(conn);
}

/* How much to read at once: no more than can be stashed if it belongs to later requests, but all of a
 * body that is known to come. */
static size_t read_size(const struct conn *conn)
{
    /* One byte at least: a read of none would look like the end. */
    size_t room = conn->stash.len < STASH_MAX ? STASH_MAX - conn->stash.len : 1;
    uint64_t content = 0;

    if (conn->receiving || (conn->phase == CONN_READING && !conn->stash.len))
        content = guard_content_left(&conn->guard);
    if (content <= room)
        return room;
    return content < LOOP_INPUT_SIZE ? (size_t)content : LOOP_INPUT_SIZE;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    struct loop *loop = conn->loop;
    ssize_t n = recv(fd, loop->input, read_size(conn), MSG_DONTWAIT);

    (void)what;
    if (n > 0)
        take_bytes(conn, loop->input, (size_t)n);
    else if (n == 0)
        on_end_of_stream(conn);
    else if (errno != EAGAIN && errno != EINTR)
        conn_hang_up(conn);
}

/* Goes on with bytes that were stashed behind the last request. */
static void take_stash(struct conn *conn)
{
    /* Ours meanwhile, as the connection may go. */
    struct stash stash = stash_move(&conn->stash);
    bool gone;

    stash_take(&stash, feed(conn, stash_bytes(&stash), stash.len, &gone));
    if (!gone && conn->phase != CONN_LINGERING) {
        conn->stash = stash_move(&stash);
        if (conn->stash.len && conn->phase == CONN_READING)
            conn_put_on_todo(conn);
    }
    stash_clear(&stash);
    if (gone)
        return;
    if ((conn->phase == CONN_READING && conn->end_of_stream && !conn->stash.len) ||
        is_abandoned(conn, conn->end_of_stream)) {
        conn_hang_up(conn);
        return;
    }
    if (conn->stash.len < STASH_MAX)
        conn_start_reading(conn);
    conn_look_later(conn);
}

/* ---- expiry ---------------------------------------------------------------------------------- */

static void expire_reading(struct conn *conn)
{
    switch (guard_phase(&conn->guard)) {
    case GUARD_IN_HEAD:
        refuse(conn, NULL, 408, "the head of the request did not come within header_timeout");
        break;
    case GUARD_IN_BODY:
        refuse(conn, NULL, 408, LATE_BODY);
        break;
    case GUARD_IDLE:
    case GUARD_DEAD:
        conn_abort(conn);
        break;
    }
}

static void expire(struct conn *conn)
{
    if (conn->phase == CONN_READING)
        expire_reading(conn);
    else if (!conn->output.waiting && is_served(conn))
        look(conn);
    else if (conn->output.waiting && conn_writes_fast_enough(conn))
        conn_set_write_deadline(conn);
    else
        conn_hang_up(conn);
}

static bool is_idle(const struct conn *conn)
{
    return conn->phase == CONN_READING && guard_phase(&conn->guard) == GUARD_IDLE;
}

void conn_on_time(struct loop_timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    int64_t *body = conn->exchange ? &conn->exchange->body_clock.deadline_ns : NULL;
    int64_t now = clock_now_ns();

    if (body && *body && now >= *body) {
        *body = 0;
        conn_set_timer(conn);
        conn_refuse_rest(conn, 408, LATE_BODY);
    } else if (conn->deadline_ns && now >= conn->deadline_ns) {
        expire(conn);
    } else {
        conn_set_timer(conn);
        if (conn->ev && is_idle(conn)) {
            conn->returning = false;
            conn_end_request(conn);
        }
    }
}

bool conn_awaits_request(const struct conn *conn, int64_t recent_ns)
{
    if (conn->phase != CONN_READING || conn->end_of_stream)
        return false;
    return guard_phase(&conn->guard) != GUARD_IDLE || conn->stash.len || conn->set_ns >= recent_ns;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void conn_free(struct conn *conn)
{
    struct loop *loop = conn->loop;

    if (loop->feeding == conn)
        loop->freed = conn;
    conn_state_end(conn);
    output_clear(&conn->output); /* it may hold what the exchange owns */
    if (conn->exchange)
        exchange_end(conn->exchange);
    conn_stop_reading(conn);
    loop_timer_stop(loop, &conn->timer);
    guard_clear(&conn->guard);
    list_remove(&conn->link);
    list_remove(&conn->todo);
    stash_clear(&conn->stash);
    server_connection_closed(conn->binding);
    free(conn);
}

static void on_close(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    conn_free(arg);
}

void conn_abort(struct conn *conn)
{
    evhttp_connection_free(conn->evcon);
}

void conn_lose(struct conn *conn)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};

    log_limited(&limit, LOG_LEVEL_ERROR, "out of memory: a connection is closed%s",
                conn->exchange ? " with its request" : "");
    conn_abort(conn);
}

void conn_attach(struct conn *conn, struct evhttp_connection *evcon)
{
    struct event *read_event = &conn->bev->ev_read;
    struct event_base *base = conn->loop->base;

    conn->evcon = evcon;
    conn->fd = bufferevent_getfd(conn->bev);
    bufferevent_disable(conn->bev, EV_READ);
    event_assign(read_event, base, -1, EV_READ | EV_PERSIST | EV_FINALIZE,
                 event_get_callback(read_event), conn->bev);
    bufferevent_enable(conn->bev, EV_READ);
    evhttp_connection_set_closecb(conn->evcon, on_close, conn);
    event_assign(&conn->read_event, base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
    output_init(&conn->output, base, conn->fd, conn_on_writable);
    conn_start_reading(conn);
    conn_set_deadline(conn, conn_limits(conn)->header_timeout);
    if (!conn->reading)
        conn_lose(conn);
}

void conn_do_pending(struct loop *loop)
{
    struct list now, *link;

    list_init(&now);
    while ((link = list_pop_head(&loop->todo)))
        list_add_tail(&now, link);
    while ((link = list_pop_head(&now))) {
        struct conn *conn = container_of(link, struct conn, todo);

        if (conn->phase == CONN_READING)
            take_stash(conn);
    }
}
