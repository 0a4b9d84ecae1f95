#include "conn_deadline.h"

#include "clock.h"
#include "exchange.h"
#include "loop.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum {
    MIN_WRITE_RATE = 500, /* bytes per second, over write_timeout */
    MIN_BODY_RATE = 500,  /* the same, beyond */
    BODY_TIMEOUTS = 10,   /* times body_timeout */
};

static int64_t body_timeout(const struct conn *conn)
{
    return conn->loop->snapshot->conf->server.body_timeout;
}

static int64_t write_timeout(const struct conn *conn)
{
    return conn->loop->snapshot->conf->server.write_timeout;
}

void conn_set_timer(struct conn *conn)
{
    int64_t next = conn->deadline_ns;
    int64_t body = conn->exchange ? conn->exchange->body_clock.deadline_ns : 0;

    if (body && (!next || body < next))
        next = body;
    loop_timer_stop(conn->loop, &conn->timer);
    /* Without memory for it the connection has no deadline until the next one is set. */
    if (next)
        (void)!loop_timer_set(conn->loop, &conn->timer, next, conn_on_time);
}

static void set(struct conn *conn, int64_t *deadline, int64_t now, int64_t at_ns)
{
    conn->set_ns = now;
    *deadline = at_ns;
    if (!loop_timer_is_set(&conn->timer) || conn->timer.node.at_ns > at_ns)
        conn_set_timer(conn);
}

void conn_set_deadline(struct conn *conn, int64_t after_ns)
{
    conn_set_deadline_at(conn, clock_now_ns(), after_ns);
}

void conn_set_deadline_at(struct conn *conn, int64_t now, int64_t after_ns)
{
    set(conn, &conn->deadline_ns, now, now + after_ns);
}

static void move_body_deadline(struct conn *conn, int64_t now)
{
    struct body_clock *clock = &conn->exchange->body_clock;
    int64_t next = now + body_timeout(conn);

    set(conn, conn->receiving ? &clock->deadline_ns : &conn->deadline_ns, now,
        next < clock->end_ns ? next : clock->end_ns);
}

void conn_begin_body_deadline(struct conn *conn)
{
    int64_t now = clock_now_ns();

    conn->exchange->body_clock.end_ns = now + BODY_TIMEOUTS * body_timeout(conn);
    move_body_deadline(conn, now);
}

void conn_move_body_deadline(struct conn *conn, size_t came)
{
    conn->exchange->body_clock.end_ns += (int64_t)came * (NS_PER_SEC / MIN_BODY_RATE);
    move_body_deadline(conn, clock_now_ns());
}

void conn_pause_body_deadline(struct conn *conn)
{
    struct body_clock *clock = &conn->exchange->body_clock;

    clock->deadline_ns = 0;
    clock->paused_ns = clock_now_ns();
}

void conn_resume_body_deadline(struct conn *conn)
{
    struct body_clock *clock = &conn->exchange->body_clock;
    int64_t now = clock_now_ns();

    clock->end_ns += now - clock->paused_ns;
    move_body_deadline(conn, now);
}

/* Bytes of the answer that the client has not taken: in the output and in the kernel's buffer, which
 * alone tells of a client that reads slowly (tcp(7), unix(7)). */
static uint64_t unwritten(const struct conn *conn)
{
    int queued = 0;

    if (ioctl(conn->fd, SIOCOUTQ, &queued) < 0)
        queued = 0;
    return conn->output.pending + (uint64_t)queued;
}

void conn_set_write_deadline(struct conn *conn)
{
    conn->unwritten = unwritten(conn);
    conn_set_deadline(conn, write_timeout(conn));
}

bool conn_writes_fast_enough(const struct conn *conn)
{
    int64_t seconds_256 = write_timeout(conn) / (NS_PER_SEC / 256);
    uint64_t least = (uint64_t)(seconds_256 * MIN_WRITE_RATE / 256), left = unwritten(conn);

    return left < conn->unwritten && conn->unwritten - left > least;
}
