/* DESIGN
 *
 * evhttp builds and sends answers piecemeal: a line for each header, a callback for each write.  Here
 * the head is put together in the loop's scratch buffer, together with a small body, and leaves in
 * one send(2) on the connection's socket; what that does not take goes to the connection's output.
 * When evhttp is told that its request is answered (conn.c), it looks at the headers "Connection" of the
 * request and of the answer to know whether the connection stays open, so a close is told it there.
 *
 * Large bodies are not copied: the output gets a reference, with the snapshot, the body itself or the
 * file to be released once it is written. */
#include "reply.h"

#include "account.h"
#include "answer_stream.h"
#include "clock.h"
#include "conn.h"
#include "fixed_text.h"
#include "log.h"
#include "loop.h"
#include "problem.h"
#include "server.h"

#include <assert.h>
#include <errno.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 9110, 6.4.1: answers that have no content whatever the action says. */
static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void put_status_line(struct fixed_text *head, int status)
{
    if (status == 200) {
        PUT_LITERAL(head, "HTTP/1.1 200 OK\r\nDate: ");
        return;
    }
    PUT_LITERAL(head, "HTTP/1.1 ");
    put_number(head, (uint64_t)status);
    PUT_LITERAL(head, " ");
    put_string(head, problem_title(status));
    PUT_LITERAL(head, "\r\nDate: ");
}

/* Server-Timing, W3C: shown by browsers' developer tools. */
static void put_timing(struct exchange *x, struct fixed_text *head)
{
    struct exchange_times times;

    exchange_times(x, x->ready_ns, &times);
    PUT_LITERAL(head, "Server-Timing: queue;dur=");
    put_ms(head, times.queue_ns);
    PUT_LITERAL(head, ", run;dur=");
    put_ms(head, times.run_ns);
    PUT_LITERAL(head, "\r\n");
}

static void put_framing(const struct exchange *x, struct fixed_text *head)
{
    const struct request *request = &x->request;
    int64_t length = (int64_t)request->response.body_len;

    if (!status_has_body(request->response.status))
        return;
    if (answer_has_begun(request))
        length = answer_length(request);
    if (length >= 0) {
        PUT_LITERAL(head, "\r\nContent-Length: ");
        put_number(head, (uint64_t)length);
    } else if (!x->http10) {
        PUT_LITERAL(head, "\r\nTransfer-Encoding: chunked");
    }
}

static void put_head(struct exchange *x, struct fixed_text *head)
{
    const struct request *request = &x->request;
    const struct response *response = &request->response;

    put_status_line(head, response->status);
    put_string(head, loop_date(x->loop));
    PUT_LITERAL(head, "\r\nX-Request-Id: ");
    put_string(head, request->id);
    if (response->content_type && status_has_body(response->status)) {
        PUT_LITERAL(head, "\r\nContent-Type: ");
        put_string(head, response->content_type);
    }
    if (request->snapshot->conf->server.server_tokens)
        PUT_LITERAL(head, "\r\nServer: handoffd/" HANDOFFD_VERSION);
    put_framing(x, head);
    if (x->close)
        PUT_LITERAL(head, "\r\nConnection: close");
    else if (x->http10)
        PUT_LITERAL(head, "\r\nConnection: keep-alive");
    PUT_LITERAL(head, "\r\n");
    for (size_t i = 0; i < response->n_headers; i++) {
        put_string(head, response->headers[i].name);
        PUT_LITERAL(head, ": ");
        put_string(head, response->headers[i].value);
        PUT_LITERAL(head, "\r\n");
    }
    if (request->snapshot->conf->server.server_timing)
        put_timing(x, head);
    if (request->route)
        put_string(head, request->route->header_block);
    if (response->lines)
        put_string(head, response->lines);
    if (request->header_lines)
        put_string(head, request->header_lines);
    PUT_LITERAL(head, "\r\n");
}

/* ---- writing --------------------------------------------------------------------------------- */

static void release_snapshot(void *snapshot, const char *data)
{
    (void)data;
    snapshot_unref(snapshot);
}

static void release_body(void *body, const char *data)
{
    (void)data;
    free(body);
}

/* Queues a body behind its head without copying it. */
static int queue_memory(struct exchange *x, const char *body, size_t len)
{
    struct output *output = &x->conn->output;
    struct response *response = &x->request.response;
    char *owned = response->owned_body;

    if (owned) {
        response->owned_body = NULL;
        if (!output_add_memory(output, body, len, release_body, owned))
            return 0;
        free(owned);
    } else {
        struct snapshot *snapshot = snapshot_ref(x->request.snapshot);

        if (!output_add_memory(output, body, len, release_snapshot, snapshot))
            return 0;
        snapshot_unref(snapshot);
    }
    return -ENOMEM;
}

/* The texts are copied, as they may live in the request. */
static int queue_file(struct exchange *x)
{
    struct output *output = &x->conn->output;
    struct response *response = &x->request.response;
    struct output_file *file = output_file_new(response->file);
    int r = file ? 0 : -ENOMEM;

    for (size_t i = 0; i < response->n_parts && !r; i++) {
        const struct response_part *part = &response->parts[i];

        if (part->text.len)
            r = output_add_copy(output, part->text.data, part->text.len);
        if (!r)
            r = output_add_file(output, file, part->offset, part->length);
    }
    if (file)
        response->parts = NULL; /* the file is the output's */
    output_file_put(file);
    return r;
}

bool reply_has_body(const struct exchange *x)
{
    return x->request.method != METHOD_HEAD && status_has_body(x->request.response.status);
}

/* Puts the head together in the loop's scratch buffer.  What an action has made of the request may be
 * longer than any head should be; then it is a failure of the action.  False: that. */
static bool make_head(struct exchange *x, struct fixed_text *head)
{
    char *scratch = x->loop->scratch;

    *head = (struct fixed_text){.at = scratch, .end = scratch + LOOP_SCRATCH_SIZE};
    put_head(x, head);
    return !head->is_cut;
}

/* The same for an answer that can still be changed. */
static void make_any_head(struct exchange *x, struct fixed_text *head)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    bool fits = make_head(x, head);

    if (fits)
        return;
    log_limited(&limit, LOG_LEVEL_ERROR,
                "request %s: the head of its answer is longer than %d bytes", x->request.id,
                LOOP_SCRATCH_SIZE);
    response_clear(&x->request);
    x->request.header_lines = NULL;
    problem_respond(&x->request, 500, "action_failed", "the head of the answer is too long");
    fits = make_head(x, head);
    assert(fits); /* what the configuration adds is bounded */
}

static void write_answer(struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct response *response = &x->request.response;
    char *scratch = x->loop->scratch;
    struct fixed_text head;
    size_t body_len, len;
    ssize_t sent = 0;
    int r;

    make_any_head(x, &head);
    body_len = reply_has_body(x) ? response->body_len : 0;
    x->body_sent = body_len;
    if ((size_t)(head.end - head.at) >= body_len && !response->parts) {
        put(&head, response->body, body_len);
        body_len = 0;
    }
    len = (size_t)(head.at - scratch);
    if (!body_len)
        account_end(x, x->ready_ns);
    if (!body_len)
        sent = send(conn->fd, scratch, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)len) {
        conn_answered(conn, x->ready_ns); /* just now */
        return;
    }
    /* An error is left to the output's own write, which meets it again. */
    sent = sent < 0 ? 0 : sent;
    r = output_add_copy(&conn->output, scratch + sent, len - (size_t)sent);
    if (!r && body_len)
        r = response->parts ? queue_file(x) : queue_memory(x, response->body, body_len);
    if (r)
        conn_abort(conn); /* half an answer must not look like a whole one */
    else
        conn_write_rest(conn);
}

/* Whether the connection cannot or shall not carry another request. */
static bool is_last(const struct exchange *x)
{
    const struct conn *conn = x->conn;

    return x->close || x->loop->draining || server_is_closing(conn) ||
           (conn->end_of_stream && !conn->stash.len && !conn->more_behind) ||
           !x->request.snapshot->conf->server.keepalive_timeout;
}

/* Settles what the head says of the connection. */
static void begin_answer(struct exchange *x)
{
    bool expected = x->close || x->conn->end_of_stream;

    x->close = is_last(x);
    /* A client that does not expect the end may send on until it sees it. */
    x->linger |= x->close && !expected;
    if (x->close && !x->linger)
        evhttp_add_header(evhttp_request_get_output_headers(x->conn->ev), "Connection", "close");
    if (!x->ready_ns)
        x->ready_ns = clock_now_ns();
    x->answered = true;
}

static void send_now(struct exchange *x)
{
    if (!x->conn) {
        exchange_end(x);
        return;
    }
    if (x->conn->receiving) {
        /* What comes of the body from here on is read and thrown away. */
        conn_stop_receiving(x->conn);
        x->close = x->linger = true;
    }
    begin_answer(x);
    write_answer(x);
}

int reply_add_head(struct exchange *x)
{
    char *scratch = x->loop->scratch;
    struct fixed_text head;

    if (x->http10 && answer_length(&x->request) == ANSWER_UNKNOWN)
        x->close = true; /* which is the end of the body */
    begin_answer(x);
    if (!make_head(x, &head))
        return -EMSGSIZE;
    return output_add_copy(&x->conn->output, scratch, (size_t)(head.at - scratch));
}

static void end_hold(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);

    list_remove(&x->link);
    send_now(x);
}

void reply_send(struct exchange *x)
{
    int64_t hold_ns = x->request.response.hold_ns;

    if (hold_ns <= 0 || x->loop->refusing ||
        loop_timer_set(x->loop, &x->timer, clock_now_ns() + hold_ns, end_hold))
        send_now(x);
    else {
        x->ready_ns = 0; /* not before its time */
        list_add_tail(&x->loop->held, &x->link);
    }
}

void reply_draining(struct exchange *x)
{
    response_clear(&x->request);
    problem_respond(&x->request, 503, "draining", "the daemon is stopping");
    response_add_header(&x->request, "Retry-After", "1");
    send_now(x);
}

void reply_refuse_held(struct loop *loop)
{
    struct list *link;

    while ((link = list_pop_head(&loop->held))) {
        struct exchange *x = container_of(link, struct exchange, link);

        loop_timer_stop(loop, &x->timer);
        reply_draining(x);
    }
}
