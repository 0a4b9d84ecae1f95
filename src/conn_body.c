/* DESIGN
 *
 * An action that takes its body as a stream is given its request as soon as the head is there and not
 * all of the body.  From then on the connection does two things at once: it reads the body for the
 * worker (`receiving`) and answers.  When so much lies ahead of the worker that its stream is full,
 * the socket is not read until the worker asks for more, so that the client is held back by TCP.
 *
 * The client's time for the body runs only while the socket is read: a slow worker is not its fault. */
#include "body_stream.h"
#include "conf.h"
#include "conn.h"
#include "conn_deadline.h"
#include "dispatch.h"
#include "exchange.h"

#include <errno.h>
#include <sys/socket.h>

void conn_send_continue(struct conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    /* Not through the bufferevent, whose "written" callback evhttp would take for the answer's. */
    (void)!send(conn->fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* On the loop's thread: the worker has nothing left to read, or room again. */
static void on_wanted(struct request *request)
{
    struct conn *conn = exchange_of(request)->conn;

    if (!conn || !conn->receiving || !(conn->expects || conn->body_full))
        return;
    if (conn->expects)
        conn_send_continue(conn);
    conn->expects = conn->body_full = false;
    conn_start_reading(conn);
    conn_resume_body_deadline(conn);
}

int conn_begin_body(struct conn *conn)
{
    struct exchange *x = conn->exchange;
    int r = body_stream_begin(&x->request, strbuf_cstr(&x->body), x->body.len, on_wanted);

    if (r)
        return r;
    if (x->body.len)
        conn->expects = false; /* it did not wait */
    strbuf_free(&x->body);
    conn->receiving = true;
    conn->body_full = false;
    if (conn->expects)
        conn_pause_body_deadline(conn);
    else
        conn_move_body_deadline(conn, 0);
    return 0;
}

bool conn_receive(struct conn *conn, const char *data, size_t len)
{
    int r = body_stream_add(&conn->exchange->request, data, len);

    if (r < 0) {
        conn_refuse_rest(conn, 503, "out of memory");
        return false;
    }
    conn->expects = false;
    conn_move_body_deadline(conn, len);
    if (r > 0) {
        conn->body_full = true;
        conn_pause_body_deadline(conn);
        conn_stop_reading(conn);
        conn_look_later(conn);
    }
    return true;
}

void conn_stop_receiving(struct conn *conn)
{
    conn->receiving = conn->body_full = conn->expects = false;
    conn->exchange->body_clock.deadline_ns = 0;
}

void conn_received(struct conn *conn)
{
    bool was_full = conn->body_full;

    conn_stop_receiving(conn);
    body_stream_end(&conn->exchange->request, 0);
    if (was_full)
        conn_start_reading(conn);
}

void conn_refuse_rest(struct conn *conn, int status, const char *detail)
{
    struct exchange *x = conn->exchange;

    conn_stop_receiving(conn);
    /* Should the answer have begun and end well all the same, nothing may be read behind it. */
    x->linger = true;
    body_stream_end(&x->request, -EBADMSG);
    dispatch_refuse(x, status, detail);
}
