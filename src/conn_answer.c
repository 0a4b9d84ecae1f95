/* DESIGN
 *
 * What an answer's one send has left goes through the connection's `output`; evhttp writes nothing
 * and is told when the last byte is out, with its own buffer empty.
 *
 * Answers that a worker sends piece by piece: each time it has more, the blocks move from the stream
 * to the output, framed as chunks in the room that they have for that, and go back to the stream when
 * the socket has taken them.  The stream bounds how many there are, so a slow client stops its worker
 * and costs a bounded amount of memory.  HTTP/1.0 knows no chunks: there the end of the connection is
 * the end of the answer, and one that is broken off ends in a reset instead. */
#include "answer_stream.h"
#include "body_stream.h"
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "conn_deadline.h"
#include "conn_state.h"
#include "exchange.h"
#include "loop.h"
#include "reply.h"
#include "stream_blocks.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { LINGER_MS = 2000 };

/* ---- the end of an answer -------------------------------------------------------------------- */

/* The connection is free for the next request. */
static void next_request(struct conn *conn, int64_t now)
{
    conn->exchange = NULL;
    conn->phase = CONN_READING;
    conn_state_update(conn);
    if (conn->stash.len || conn->end_of_stream)
        conn_put_on_todo(conn);
    conn_set_deadline_at(conn, now, conn_limits(conn)->keepalive_timeout);
}

static void linger(struct conn *conn)
{
    conn->exchange = NULL;
    conn->phase = CONN_LINGERING;
    conn_state_update(conn);
    stash_clear(&conn->stash);
    list_remove(&conn->todo);
    if (conn->end_of_stream) {
        conn_abort(conn);
        return;
    }
    shutdown(conn->fd, SHUT_WR);
    conn_start_reading(conn);
    conn_set_deadline(conn, LINGER_MS * NS_PER_MS);
}

static bool has_unread(const struct conn *conn)
{
    int unread = 0;

    return conn->stash.len || conn->more_behind ||
           (ioctl(conn->fd, FIONREAD, &unread) == 0 && unread > 0);
}

void conn_end_request(struct conn *conn)
{
    struct evhttp_request *ev = conn->ev;

    if (!conn_has_memory()) {
        conn_lose(conn);
        return;
    }
    conn->ev = NULL;
    evhttp_send_reply_end(ev);
}

void conn_answered(struct conn *conn, int64_t now)
{
    struct exchange *x = conn->exchange;
    bool ends = x->close || !conn->returning;
    /* Closing with bytes unread makes the kernel reset the connection, and drop what it still holds of
     * the answer. */
    bool lingers = x->linger || (x->close && has_unread(conn));

    exchange_end(x);
    if (lingers) {
        linger(conn);
        return;
    }
    next_request(conn, now);
    conn->returning = true;
    if (ends)
        conn_end_request(conn);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes on; `added` bytes are new in the output. */
static void push(struct conn *conn, uint64_t added)
{
    bool waited = conn->output.waiting;

    if (output_write(&conn->output)) {
        conn_hang_up(conn);
        return;
    }
    if (!conn->output.waiting) {
        conn->deadline_ns = 0;
        if (conn->phase == CONN_WRITING)
            conn_answered(conn, clock_now_ns());
        else
            conn_look_later(conn);
    } else if (waited) {
        conn->unwritten += added;
    } else {
        conn_set_write_deadline(conn);
    }
}

void conn_on_writable(struct output *output)
{
    push(container_of(output, struct conn, output), 0);
}

void conn_write_rest(struct conn *conn)
{
    conn->phase = CONN_WRITING;
    conn_state_update(conn);
    push(conn, 0);
}

/* ---- answers piece by piece ------------------------------------------------------------------ */

static bool is_chunked(const struct exchange *x)
{
    return !x->http10 && answer_length(&x->request) == ANSWER_UNKNOWN;
}

static void give_back(void *block, const char *data)
{
    struct request *request = ((struct stream_block *)block)->owner;

    (void)data;
    answer_give_back(request, block);
}

static int add_block(struct conn *conn, struct stream_block *block)
{
    struct exchange *x = conn->exchange;
    char *data = stream_block_data(block), size[STREAM_BLOCK_FRONT + 1];
    size_t len = block->len;

    if (is_chunked(x)) {
        int n = snprintf(size, sizeof size, "%zx\r\n", len);

        memcpy(data + len, "\r\n", 2);
        data -= n;
        memcpy(data, size, (size_t)n);
        len += (size_t)n + 2;
    }
    block->owner = &x->request;
    x->body_sent += block->len;
    return output_add_memory(&conn->output, data, len, give_back, block);
}

/* The head, if it has not gone yet, and all that the stream holds.  0 or -errno. */
static int add_stream(struct conn *conn)
{
    struct exchange *x = conn->exchange;
    struct stream_block *block;
    int r = 0;

    if (conn->phase == CONN_BUSY) {
        r = reply_add_head(x);
        conn->phase = CONN_STREAMING;
        conn_state_update(conn);
    }
    while (!r && (block = answer_take(&x->request))) {
        r = add_block(conn, block);
        if (r)
            answer_give_back(&x->request, block);
    }
    return r;
}

static void drop_stream(struct request *request)
{
    struct stream_block *block;

    while ((block = answer_take(request)))
        answer_give_back(request, block);
}

void conn_take_answer(struct request *request)
{
    struct exchange *x = exchange_of(request);
    struct conn *conn = x->conn;
    uint64_t before;

    if (!conn || (x->refused_status && conn->phase == CONN_BUSY)) {
        drop_stream(request);
        return;
    }
    before = conn->output.pending;
    if (add_stream(conn))
        conn_hang_up(conn);
    else
        push(conn, conn->output.pending - before);
}

/* The last chunk and the trailer fields. */
static int add_tail(struct conn *conn)
{
    const struct header *trailers;
    size_t n = answer_trailers(&conn->exchange->request, &trailers);
    struct strbuf tail = {0};
    int r;

    strbuf_adds(&tail, "0\r\n");
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&tail, "%s: %s\r\n", trailers[i].name, trailers[i].value);
    strbuf_adds(&tail, "\r\n");
    r = tail.failed ? -ENOMEM : output_add_copy(&conn->output, strbuf_cstr(&tail), tail.len);
    strbuf_free(&tail);
    return r;
}

void conn_end_answer(struct conn *conn)
{
    struct exchange *x = conn->exchange;
    uint64_t before = conn->output.pending;
    int r = answer_is_whole(&x->request) ? add_stream(conn) : -1;

    if (!r && is_chunked(x) && reply_has_body(x))
        r = add_tail(conn);
    if (r) {
        conn_break_answer(conn);
        return;
    }
    if (conn->receiving) {
        /* What the client has yet to send of its body stands in front of any next request. */
        conn_stop_receiving(conn);
        x->linger = true;
    }
    conn->phase = CONN_WRITING;
    conn_state_update(conn);
    push(conn, conn->output.pending - before);
}

/* Sees to it that the end of the connection does not look like the end of the answer. */
static void spoil_end(struct conn *conn)
{
    const struct exchange *x = conn->exchange;
    /* connect(2): this dissolves the association, tcp(7) by a reset; a FIN would do as the end. */
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    if (x->http10 && answer_length(&x->request) == ANSWER_UNKNOWN)
        (void)!connect(conn->fd, &nowhere, sizeof nowhere);
}

void conn_break_answer(struct conn *conn)
{
    spoil_end(conn);
    conn_abort(conn);
}

void conn_break_off(struct conn *conn)
{
    spoil_end(conn);
    conn_hang_up(conn);
}

struct exchange *conn_detach_task(struct exchange *task)
{
    struct conn *conn = task->conn;
    struct exchange *answer = exchange_split(task);

    if (!answer) {
        conn_hang_up(conn);
        return NULL;
    }
    conn->exchange = answer;
    if (conn->receiving)
        body_stream_end(&task->request, -ECANCELED);
    return answer;
}
