/* DESIGN
 *
 * evhttp builds and sends answers piecemeal: a line for each header, a callback for each write.  Here
 * the head is put together in the loop's scratch buffer, together with a small body, and leaves in
 * one send(2) on the connection's socket.  That is allowed only while nothing waits in evhttp's
 * output buffer; what the socket does not take goes there.  Then evhttp_send_reply_end tells evhttp
 * that the request is answered; evhttp looks at the headers "Connection" of the request and of the
 * answer to know whether the connection stays open, so a close is told it there.
 *
 * Large bodies are not copied: evhttp's buffer gets a reference, with the snapshot or the body itself
 * to be released once it is written. */
#include "reply.h"

#include "loop.h"
#include "problem.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_SINGLE_WRITE = 1 << 20 };

/* Text that is added piece by piece to a fixed buffer; too much sets `overflow`. */
struct head {
    char *at;
    char *end;
    bool overflow;
};

static void put(struct head *head, const char *text, size_t len)
{
    if (!len)
        return;
    if ((size_t)(head->end - head->at) < len) {
        head->overflow = true;
        return;
    }
    memcpy(head->at, text, len);
    head->at += len;
}

static void puts_(struct head *head, const char *text)
{
    put(head, text, strlen(text));
}

#define PUT_LITERAL(head, literal) put(head, literal, sizeof(literal) - 1)

static void put_number(struct head *head, uint64_t number)
{
    char digits[20];
    size_t i = sizeof digits;

    do
        digits[--i] = (char)('0' + number % 10);
    while (number /= 10);
    put(head, digits + i, sizeof digits - i);
}

/* RFC 9110, 6.4.1: answers that have no content whatever the action says. */
static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void put_status_line(struct head *head, int status)
{
    if (status == 200) {
        PUT_LITERAL(head, "HTTP/1.1 200 OK\r\nDate: ");
        return;
    }
    PUT_LITERAL(head, "HTTP/1.1 ");
    put_number(head, (uint64_t)status);
    PUT_LITERAL(head, " ");
    puts_(head, problem_title(status));
    PUT_LITERAL(head, "\r\nDate: ");
}

static void put_head(struct exchange *x, struct head *head)
{
    const struct request *request = &x->request;
    const struct response *response = &request->response;

    put_status_line(head, response->status);
    puts_(head, loop_date(x->loop));
    PUT_LITERAL(head, "\r\nX-Request-Id: ");
    puts_(head, request->id);
    if (response->content_type && status_has_body(response->status)) {
        PUT_LITERAL(head, "\r\nContent-Type: ");
        puts_(head, response->content_type);
    }
    if (status_has_body(response->status)) {
        PUT_LITERAL(head, "\r\nContent-Length: ");
        put_number(head, response->body_len);
    }
    if (x->close)
        PUT_LITERAL(head, "\r\nConnection: close");
    else if (x->http10)
        PUT_LITERAL(head, "\r\nConnection: keep-alive");
    PUT_LITERAL(head, "\r\n");
    for (size_t i = 0; i < response->n_headers; i++) {
        puts_(head, response->headers[i].name);
        PUT_LITERAL(head, ": ");
        puts_(head, response->headers[i].value);
        PUT_LITERAL(head, "\r\n");
    }
    if (request->route)
        puts_(head, request->route->header_block);
    PUT_LITERAL(head, "\r\n");
}

/* ---- writing --------------------------------------------------------------------------------- */

static void release_snapshot(const void *data, size_t len, void *snapshot)
{
    (void)data;
    (void)len;
    snapshot_unref(snapshot);
}

static void release_body(const void *data, size_t len, void *body)
{
    (void)data;
    (void)len;
    free(body);
}

/* Queues a body behind its head without copying it. */
static int queue_body(struct exchange *x, struct evbuffer *output, const char *body, size_t len)
{
    struct response *response = &x->request.response;

    if (!len)
        return 0;
    if (!response->owned_body) {
        struct snapshot *snapshot = snapshot_ref(x->request.snapshot);

        if (!evbuffer_add_reference(output, body, len, release_snapshot, snapshot))
            return 0;
        snapshot_unref(snapshot);
        return -ENOMEM;
    }
    if (evbuffer_add_reference(output, body, len, release_body, response->owned_body))
        return -ENOMEM;
    response->owned_body = NULL;
    return 0;
}

static void on_written(struct evhttp_request *ev, void *arg)
{
    struct exchange *x = arg;

    evhttp_connection_set_closecb(evhttp_request_get_connection(ev), NULL, NULL);
    exchange_end(x);
}

static void on_closed_while_writing(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    exchange_end(arg);
}

/* Lets evhttp finish the request; the exchange ends with the last byte. */
static void finish(struct exchange *x, struct evhttp_connection *connection, bool written)
{
    struct evhttp_request *ev = x->ev;

    if (!written) {
        evhttp_request_set_on_complete_cb(ev, on_written, x);
        evhttp_connection_set_closecb(connection, on_closed_while_writing, x);
        evhttp_send_reply_end(ev);
        return;
    }
    exchange_end(x);
    evhttp_send_reply_end(ev);
}

static void write_answer(struct exchange *x, struct evhttp_connection *connection)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    struct evbuffer *output = bufferevent_get_output(bev);
    struct response *response = &x->request.response;
    char *scratch = x->loop->scratch;
    struct head head = {.at = scratch, .end = scratch + LOOP_SCRATCH_SIZE};
    size_t body_len = x->request.method == METHOD_HEAD || !status_has_body(response->status)
                          ? 0
                          : response->body_len;
    size_t len;
    bool small;
    ssize_t sent = 0;

    put_head(x, &head);
    assert(!head.overflow);
    small = (size_t)(head.end - head.at) >= body_len;
    if (small)
        put(&head, response->body, body_len);
    len = (size_t)(head.at - scratch);
    if (small && evbuffer_get_length(output) == 0)
        sent = send(bufferevent_getfd(bev), scratch, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)len) {
        finish(x, connection, true);
        return;
    }
    /* An error is left to evhttp's own write, which meets it again and closes. */
    sent = sent < 0 ? 0 : sent;
    bufferevent_set_max_single_write(bev, MAX_SINGLE_WRITE);
    if (evbuffer_add(output, scratch + sent, len - (size_t)sent) ||
        (!small && queue_body(x, output, response->body, body_len)) ||
        bufferevent_enable(bev, EV_WRITE)) {
        /* Half an answer must not look like a whole one.  This frees evhttp's request too. */
        exchange_end(x);
        evhttp_connection_free(connection);
        return;
    }
    finish(x, connection, false);
}

static void send_now(struct exchange *x)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(x->ev);

    if (!connection) {
        /* The client has gone and evhttp has let the request go: this frees it. */
        struct evhttp_request *ev = x->ev;

        exchange_end(x);
        evhttp_send_reply_end(ev);
        return;
    }
    x->close = x->close || x->loop->draining || *x->closing;
    if (x->close)
        evhttp_add_header(evhttp_request_get_output_headers(x->ev), "Connection", "close");
    atomic_fetch_add_explicit(&x->request.snapshot->vitals->requests, 1, memory_order_relaxed);
    write_answer(x, connection);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct exchange *x = arg;

    (void)fd;
    (void)what;
    list_remove(&x->link);
    send_now(x);
}

void reply_send(struct exchange *x)
{
    int64_t hold_ns = x->request.response.hold_ns;
    struct timeval wait = {.tv_sec = hold_ns / NS_PER_SEC,
                           .tv_usec = hold_ns % NS_PER_SEC / NS_PER_US};

    if (hold_ns > 0 && !x->loop->refusing &&
        !event_assign(&x->timer, x->loop->base, -1, 0, on_timer, x) &&
        !event_add(&x->timer, &wait)) {
        list_add_tail(&x->loop->held, &x->link);
        return;
    }
    send_now(x);
}

void reply_refuse_held(struct loop *loop)
{
    struct list *link;

    while ((link = list_pop_head(&loop->held))) {
        struct exchange *x = container_of(link, struct exchange, link);

        event_del(&x->timer);
        problem_respond(&x->request, 503, "draining", "the daemon is stopping");
        send_now(x);
    }
}
