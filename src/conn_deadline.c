#include "conn_deadline.h"

#include "clock.h"
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

void conn_set_timer(struct conn *conn, int64_t now)
{
    int64_t next = conn->deadline_ns, body = conn->body_deadline_ns, left;
    struct timeval tv;

    if (body && (!next || body < next))
        next = body;
    if (!next)
        return;
    left = next > now ? next - now : 0;
    tv = (struct timeval){.tv_sec = left / NS_PER_SEC, .tv_usec = left % NS_PER_SEC / NS_PER_US};
    tv.tv_usec += tv.tv_usec < 999999; /* not before the deadline */
    conn->timer_ns = event_add(&conn->timer, &tv) ? 0 : next;
}

static void set(struct conn *conn, int64_t *deadline, int64_t now, int64_t at_ns)
{
    conn->set_ns = now;
    *deadline = at_ns;
    if (!conn->timer_ns || conn->timer_ns > at_ns)
        conn_set_timer(conn, now);
}

void conn_set_deadline(struct conn *conn, int64_t after_ns)
{
    int64_t now = clock_now_ns();

    set(conn, &conn->deadline_ns, now, now + after_ns);
}

static void move_body_deadline(struct conn *conn, int64_t now)
{
    int64_t next = now + body_timeout(conn);

    set(conn, conn->receiving ? &conn->body_deadline_ns : &conn->deadline_ns, now,
        next < conn->body_end_ns ? next : conn->body_end_ns);
}

void conn_begin_body_deadline(struct conn *conn)
{
    int64_t now = clock_now_ns();

    conn->body_end_ns = now + BODY_TIMEOUTS * body_timeout(conn);
    move_body_deadline(conn, now);
}

void conn_move_body_deadline(struct conn *conn, size_t came)
{
    conn->body_end_ns += (int64_t)came * (NS_PER_SEC / MIN_BODY_RATE);
    move_body_deadline(conn, clock_now_ns());
}

void conn_pause_body_deadline(struct conn *conn)
{
    conn->body_deadline_ns = 0;
    conn->body_paused_ns = clock_now_ns();
}

void conn_resume_body_deadline(struct conn *conn)
{
    int64_t now = clock_now_ns();

    conn->body_end_ns += now - conn->body_paused_ns;
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
