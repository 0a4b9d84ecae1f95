/* DESIGN
 *
 * evhttp asks for a bufferevent when it has accepted a connection, and cannot be told that there is
 * none: it would make one of its own, and read past the guard.  So the next connection is made
 * beforehand, and a loop accepts only while it has one, and memory enough for evhttp to make its own
 * connection around it.
 *
 * evhttp may fail in that all the same, when libevent cannot make its table of descriptors larger, and
 * tells nobody.  A reference of ours keeps the bufferevent until the loop looks, before it polls again;
 * it has no callbacks then if evhttp has freed it. */
#include "conn_accept.h"

#include "conn_state.h"
#include "log.h"
#include "loop.h"
#include "server.h"
#include "small_memory.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <stdlib.h>

/* Blocks that a thread keeps ready, so that one operation of evhttp's that is under way still has
 * enough of them when another has begun before it. */
enum { BLOCKS_OF_EVHTTP = 16, BLOCKS_KEPT = 2 * BLOCKS_OF_EVHTTP };

bool conn_has_memory(void)
{
    return small_secure(BLOCKS_KEPT);
}

int conn_prepare(struct loop *loop)
{
    struct bufferevent *bev;
    struct conn *conn;

    if (loop->prepared)
        return 0;
    /* Not BEV_OPT_CLOSE_ON_FREE: evhttp shuts the descriptor down and closes it itself. */
    bev = conn_has_memory() ? bufferevent_socket_new(loop->base, -1, 0) : NULL;
    conn = bev ? calloc(1, sizeof *conn) : NULL;
    if (!conn) {
        if (bev)
            bufferevent_free(bev);
        return -ENOMEM;
    }
    bufferevent_incref(bev);
    conn->loop = loop;
    conn->bev = bev;
    conn->fd = -1;
    guard_init(&conn->guard, &loop->limits);
    list_init(&conn->link);
    list_init(&conn->todo);
    loop->prepared = conn;
    return 0;
}

struct bufferevent *conn_new_bufferevent(struct event_base *base, void *arg)
{
    struct binding *binding = arg;
    struct loop *loop = server_binding_loop(binding);
    struct conn *conn;

    (void)base;
    if (conn_prepare(loop))
        return NULL; /* what evhttp makes of that, conn_on_request closes */
    conn = loop->prepared;
    loop->prepared = NULL;
    conn->binding = binding;
    list_add_tail(&loop->fresh, &conn->link);
    event_active(loop->attach_event, EV_TIMEOUT, 0);
    conn_state_begin(conn);
    server_connection_opened(binding);
    if (conn_prepare(loop))
        server_pause(loop, ENOMEM);
    return conn->bev;
}

static void free_unattached(struct conn *conn)
{
    bufferevent_decref(conn->bev);
    guard_clear(&conn->guard);
    free(conn);
}

void conn_drop_prepared(struct loop *loop)
{
    if (!loop->prepared)
        return;
    bufferevent_free(loop->prepared->bev);
    free_unattached(loop->prepared);
    loop->prepared = NULL;
}

/* evhttp has given up, and closed the descriptor. */
static void drop(struct conn *conn)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};

    log_limited(&limit, LOG_LEVEL_ERROR, "out of memory: a new connection is closed");
    conn_state_end(conn);
    list_remove(&conn->link);
    server_connection_closed(conn->binding);
    free_unattached(conn);
}

static void attach_or_drop(struct conn *conn)
{
    bufferevent_data_cb on_read;
    void *evcon;

    bufferevent_getcb(conn->bev, &on_read, NULL, NULL, &evcon);
    if (!on_read) {
        drop(conn);
        return;
    }
    bufferevent_decref(conn->bev);
    conn_attach(conn, evcon);
}

void conn_attach_fresh(struct loop *loop)
{
    struct list *link;

    while ((link = list_pop_head(&loop->fresh))) {
        list_add_tail(&loop->conns, link);
        attach_or_drop(container_of(link, struct conn, link));
    }
}
