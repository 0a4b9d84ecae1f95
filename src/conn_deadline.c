#include "conn_deadline.h"

#include "clock.h"
#include "loop.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { MIN_WRITE_RATE = 500 }; /* bytes per second, over write_timeout */

static int64_t write_timeout(const struct conn *conn)
{
    return conn->loop->snapshot->conf->server.write_timeout;
}

void conn_set_timer(struct conn *conn, int64_t now)
{
    int64_t left = conn->deadline_ns > now ? conn->deadline_ns - now : 0;
    struct timeval tv = {.tv_sec = left / NS_PER_SEC, .tv_usec = left % NS_PER_SEC / NS_PER_US};

    tv.tv_usec += tv.tv_usec < 999999; /* not before the deadline */
    conn->timer_ns = event_add(&conn->timer, &tv) ? 0 : conn->deadline_ns;
}

void conn_set_deadline(struct conn *conn, int64_t after_ns)
{
    int64_t now = clock_now_ns();

    conn->set_ns = now;
    conn->deadline_ns = now + after_ns;
    if (!conn->timer_ns || conn->timer_ns > conn->deadline_ns)
        conn_set_timer(conn, now);
}

/* Bytes of the answer that the client has not taken: in evhttp's buffer and in the kernel's, which
 * alone tells of a client that reads slowly (tcp(7), unix(7)). */
static size_t unwritten(const struct conn *conn)
{
    int queued = 0;

    if (ioctl(conn->fd, SIOCOUTQ, &queued) < 0)
        queued = 0;
    return evbuffer_get_length(bufferevent_get_output(conn->bev)) + (size_t)queued;
}

void conn_set_write_deadline(struct conn *conn)
{
    conn->unwritten = unwritten(conn);
    conn_set_deadline(conn, write_timeout(conn));
}

bool conn_writes_fast_enough(const struct conn *conn)
{
    int64_t seconds_256 = write_timeout(conn) / (NS_PER_SEC / 256);
    size_t least = (size_t)(seconds_256 * MIN_WRITE_RATE / 256), left = unwritten(conn);

    return left < conn->unwritten && conn->unwritten - left > least;
}
