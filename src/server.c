/* DESIGN
 *
 * A binding is one listener on one loop: an evhttp of its own, so that a request's callback knows
 * where it came in, fed by an evconnlistener on a duplicate of the listener's descriptor.  What
 * happens on its connections is told in conn.c.
 *
 * Loops take turns to accept (accept_turn.h): the bindings of the others are disabled.  Accepting also
 * pauses on all bindings of a loop when the loop has its share of max_connections, until one closes,
 * and for a moment when accept(2) fails, which otherwise would be tried without end.  Who is about to
 * accept no more, because of a drain or because the listener goes, does not wait for a turn.
 *
 * A listener that a reload removes gets no new connections (listener_turn_away), and accepts those
 * under way for a moment.  It leaves its binding behind without a listener, so that what is in flight
 * on its connections is answered; the next answer closes each of them. */
#include "server.h"

#include "conn_accept.h"
#include "dispatch.h"
#include "log.h"
#include "reply.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT_PAUSE_MS = 200 };

/* The bit of connections whose listener is gone: only routes for every listener match it. */
enum { NO_LISTENER = CONF_MAX_LISTENERS };

struct binding {
    struct list link;
    struct loop *loop;
    struct evhttp *http;
    struct evconnlistener *acceptor;    /* owned by http; NULL once it accepts no more */
    struct evhttp_bound_socket *socket; /* evhttp's name for it */
    const struct listener *listener;    /* for comparing only; NULL once it accepts no more */
    bool prepared;                      /* not committed yet */
    unsigned index;                     /* of the listener in the snapshot */
    bool is_unix;
    bool inherited; /* the listening socket outlives this binding and its descriptor */
    int retired_fd; /* of such a socket, to be closed; -1: none */
    unsigned retired_turns;
    bool closing;              /* the listener is gone: answers tell clients to close */
    struct event *leave_event; /* the listener is gone: when to begin with the last turns */
    unsigned last_turns;       /* in which it still accepts what had connected before */
    unsigned n_connections;
    unsigned by_state[CONN_STATE_COUNT];
    struct listener_part *part; /* shows them to others, under the name that the listener has, or
                                 * had when it went; NULL: out of memory */
};

struct loop *server_binding_loop(const struct binding *binding)
{
    return binding->loop;
}

/* ---- for a connection's requests ------------------------------------------------------------- */

unsigned server_listener_index(const struct conn *conn)
{
    return conn->binding->index;
}

bool server_is_closing(const struct conn *conn)
{
    return conn->binding->closing;
}

bool server_is_unix(const struct conn *conn)
{
    return conn->binding->is_unix;
}

/* ---- accepting and pausing ------------------------------------------------------------------- */

static bool is_full(const struct loop *loop)
{
    return loop->n_connections >= loop->max_connections;
}

static int update_acceptor(struct binding *binding)
{
    const struct loop *loop = binding->loop;

    if (!binding->acceptor || binding->prepared)
        return 0;
    if (loop->accepting && (loop->has_turn || loop->draining || binding->closing))
        return evconnlistener_enable(binding->acceptor) ? -ENOMEM : 0;
    evconnlistener_disable(binding->acceptor);
    return 0;
}

static int try_to_update(struct loop *loop)
{
    struct list *link;
    int r = 0;

    list_for_each(link, &loop->bindings)
        if (update_acceptor(container_of(link, struct binding, link)))
            r = -ENOMEM;
    return r;
}

void server_pause(struct loop *loop, int error)
{
    static struct log_limit limit = {.interval_ns = 10 * NS_PER_SEC};
    static const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

    log_limited(&limit, LOG_LEVEL_ERROR, "cannot accept connections: %s; trying again every %d ms",
                strerror(error), ACCEPT_PAUSE_MS);
    /* A pause that nothing ends would be worse than none. */
    loop->accepting = event_add(loop->resume_event, &pause) && !is_full(loop);
    (void)try_to_update(loop);
}

static void update_acceptors(struct loop *loop)
{
    if (try_to_update(loop))
        server_pause(loop, ENOMEM);
}

static void set_accepting(struct loop *loop, bool accepting)
{
    loop->accepting = accepting;
    update_acceptors(loop);
}

/* Gives the turn away if it is another loop's. */
static void pass_turn(struct loop *loop)
{
    int next = loop->has_turn ? accept_turn_next(loop->turn, loop->index) : (int)loop->index;

    if (next == (int)loop->index)
        return;
    loop->has_turn = false;
    update_acceptors(loop);
    if (next != ACCEPT_TURN_NOBODY)
        mailbox_post(&loop->loops[next]->mailbox, &loop->loops[next]->turn_letter);
}

void server_take_turn(struct mail *letter)
{
    struct loop *loop = container_of(letter, struct loop, turn_letter);

    loop->has_turn = true;
    update_acceptors(loop);
    pass_turn(loop);
}

/* The loop may have got room while every loop was full. */
static void take_free_turn(struct loop *loop)
{
    if (loop->has_turn || !accept_turn_take(loop->turn, loop->index))
        return;
    loop->has_turn = true;
    update_acceptors(loop);
}

static void resume(struct loop *loop)
{
    if (conn_prepare(loop))
        server_pause(loop, ENOMEM);
    else
        set_accepting(loop, true);
}

void server_connection_opened(struct binding *binding)
{
    static struct log_limit limit = {.interval_ns = 10 * NS_PER_SEC};
    struct loop *loop = binding->loop;

    binding->n_connections++;
    if (binding->part)
        stats_add(&binding->part->accepted, 1);
    loop->n_connections++;
    accept_turn_opened(loop->turn, loop->index);
    pass_turn(loop);
    if (!is_full(loop) || !loop->accepting)
        return;
    log_limited(&limit, LOG_LEVEL_WARNING,
                "max_connections reached, %u on this loop: new ones wait until others close",
                loop->n_connections);
    set_accepting(loop, false);
}

void server_connection_closed(struct binding *binding)
{
    struct loop *loop = binding->loop;

    binding->n_connections--;
    loop->n_connections--;
    accept_turn_closed(loop->turn, loop->index);
    take_free_turn(loop);
    if (!loop->accepting && !is_full(loop) && !event_pending(loop->resume_event, EV_TIMEOUT, NULL))
        resume(loop);
}

static void change_count(_Atomic unsigned *count, int change)
{
    unsigned before = atomic_load_explicit(count, memory_order_relaxed);

    atomic_store_explicit(count, before + (unsigned)change, memory_order_relaxed);
}

void server_count_connection(struct binding *binding, enum conn_state state, int change)
{
    binding->by_state[state] += (unsigned)change;
    if (binding->part)
        change_count(&binding->part->connections[state], change);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd;
    (void)what;
    if (!is_full(loop))
        resume(loop);
}

/* accept(2) failed, most often for want of descriptors: asking again at once would only spin. */
static void on_accept_error(struct evconnlistener *acceptor, void *arg)
{
    (void)acceptor;
    (void)arg;
    server_pause(loop_current(), EVUTIL_SOCKET_ERROR());
}

/* ---- bindings -------------------------------------------------------------------------------- */

static void free_binding(struct binding *binding)
{
    int fd = binding->retired_fd;

    if (binding->inherited && binding->acceptor)
        fd = evconnlistener_get_fd(binding->acceptor);
    list_remove(&binding->link);
    if (binding->leave_event)
        event_free(binding->leave_event);
    if (binding->http)
        evhttp_free(binding->http);
    if (fd >= 0)
        close(fd);
    free(binding);
}

static int accept_from(struct binding *binding, int fd)
{
    const unsigned flags =
        LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED | (binding->inherited ? 0 : LEV_OPT_CLOSE_ON_FREE);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
        return -errno;
    binding->acceptor = evconnlistener_new(binding->loop->base, NULL, NULL, flags, 0, copy);
    if (!binding->acceptor) {
        close(copy);
        return -ENOMEM;
    }
    binding->socket = evhttp_bind_listener(binding->http, binding->acceptor);
    if (!binding->socket) {
        evconnlistener_free(binding->acceptor);
        binding->acceptor = NULL;
        if (binding->inherited)
            close(copy);
        return -ENOMEM;
    }
    evconnlistener_set_error_cb(binding->acceptor, on_accept_error);
    return 0;
}

static int add_binding(struct loop *loop, struct listener *listener)
{
    struct binding *binding = calloc(1, sizeof *binding);
    int r = -ENOMEM;

    if (!binding)
        return r;
    *binding = (struct binding){.loop = loop,
                                .listener = listener,
                                .prepared = true,
                                .is_unix = listener->is_unix,
                                .inherited = listener->inherited >= 0,
                                .retired_fd = -1};
    list_add_tail(&loop->bindings, &binding->link);
    binding->http = evhttp_new(loop->base);
    if (binding->http) {
        evhttp_set_gencb(binding->http, conn_on_request, binding);
        evhttp_set_bevcb(binding->http, conn_new_bufferevent, binding);
        evhttp_set_default_content_type(binding->http, NULL);
        r = accept_from(binding, listener->fd);
    }
    if (r)
        free_binding(binding);
    return r;
}

static struct binding *find_binding(struct loop *loop, const struct listener *listener)
{
    struct list *link;

    list_for_each(link, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);

        if (binding->listener == listener)
            return binding;
    }
    return NULL;
}

/* The kernel forgets a descriptor that is polled once every copy of it is closed.  Of an inherited
 * socket there are others, so ours is closed only after the turn in which libevent tells the kernel
 * that it is not to be polled any more; or the loop would be woken for it for ever. */
static void retire_descriptor(struct binding *binding)
{
    binding->retired_fd = evconnlistener_get_fd(binding->acceptor);
    binding->retired_turns = 2;
    binding->loop->retiring = true;
}

/* The binding's connections live on. */
static void stop_accepting(struct binding *binding)
{
    if (!binding->acceptor)
        return;
    if (binding->inherited)
        retire_descriptor(binding);
    if (binding->leave_event)
        event_del(binding->leave_event);
    evhttp_del_accept_socket(binding->http, binding->socket);
    binding->acceptor = NULL;
    binding->listener = NULL;
    binding->closing = true;
    binding->index = NO_LISTENER;
}

/* Turns enough to accept a full backlog and to read what came with it; a flood that goes on
 * connecting is not waited for. */
enum { LAST_TURNS_ACCEPTING = 64, LAST_TURNS_READING = 3 };

/* Time for a handshake to end that had begun when the listener was turned away from. */
enum { HANDSHAKE_MS = 250 };

static bool is_knocked_at(const struct binding *binding)
{
    struct pollfd poll_fd = {.fd = -1, .events = POLLIN};

    if (binding->acceptor)
        poll_fd.fd = evconnlistener_get_fd(binding->acceptor);
    return poll(&poll_fd, 1, 0) > 0;
}

static void begin_last_turns(struct binding *binding)
{
    binding->last_turns = LAST_TURNS_ACCEPTING;
    binding->loop->retiring = true;
}

/* True: it is looked at again in a moment. */
static bool leave_later(struct binding *binding)
{
    static const struct timeval handshake = {.tv_usec = HANDSHAKE_MS * 1000};

    return binding->leave_event && !event_add(binding->leave_event, &handshake);
}

/* Somebody waits at the socket until others close; to close it would reset them. */
static bool is_waited_at(const struct binding *binding)
{
    return !binding->loop->accepting && is_knocked_at(binding);
}

static void on_leave(evutil_socket_t fd, short what, void *arg)
{
    struct binding *binding = arg;

    (void)fd;
    (void)what;
    if (!is_waited_at(binding) || !leave_later(binding))
        begin_last_turns(binding);
}

/* The listener has been removed.  Its socket closes once those who have connected are accepted; what
 * waits at an inherited one may wait. */
static void leave(struct binding *binding)
{
    if (binding->inherited) {
        stop_accepting(binding);
        return;
    }
    binding->listener = NULL;
    binding->closing = true;
    binding->index = NO_LISTENER;
    update_acceptor(binding);
    binding->leave_event = event_new(binding->loop->base, -1, 0, on_leave, binding);
    if (!leave_later(binding))
        begin_last_turns(binding);
}

int server_prepare(struct loop *loop, struct listener *const *listeners, size_t n)
{
    int r = 0;

    if (!loop->resume_event)
        loop->resume_event = event_new(loop->base, -1, 0, on_resume, loop);
    if (!loop->resume_event || conn_prepare(loop))
        return -ENOMEM;
    for (size_t i = 0; i < n && !r; i++)
        if (!find_binding(loop, listeners[i]))
            r = add_binding(loop, listeners[i]);
    return r;
}

void server_abandon(struct loop *loop)
{
    struct list *link, *next;

    list_for_each_safe(link, next, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);

        if (binding->prepared)
            free_binding(binding);
    }
}

/* max_connections is shared out among the loops; what does not divide goes to the first ones. */
static unsigned share_of(const struct loop *loop, int64_t max_connections)
{
    unsigned n = loop->turn->n_seats;

    return (unsigned)(max_connections / n + (loop->index < max_connections % n));
}

/* A listener may have another name in the next configuration, and its connections go with it. */
static void name_part(struct binding *binding, struct meter *meter)
{
    struct listener_part *before = binding->part;
    struct listener_part *part = meter_listener_part(meter, binding->loop->index);

    if (part == before)
        return;
    binding->part = part;
    for (int state = 0; state < CONN_STATE_COUNT; state++) {
        if (before)
            change_count(&before->connections[state], -(int)binding->by_state[state]);
        if (part)
            change_count(&part->connections[state], (int)binding->by_state[state]);
    }
}

void server_commit(struct loop *loop, struct snapshot *snapshot, struct listener *const *listeners,
                   size_t n)
{
    struct snapshot *before = loop->snapshot;
    struct list *link;

    /* Tasks of the old snapshot reach their pools before anybody may retire those. */
    dispatch_flush(loop);
    loop->snapshot = snapshot_use(snapshot, loop->index);
    lag_start(loop);
    snapshot_done(before, loop->index);
    list_for_each(link, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);
        size_t i = 0;

        while (i < n && listeners[i] != binding->listener)
            i++;
        if (i == n) {
            if (!binding->closing)
                leave(binding);
            continue;
        }
        binding->index = (unsigned)i;
        name_part(binding, snapshot->listener_meters[i]);
        binding->prepared = false;
        if (update_acceptor(binding))
            server_pause(loop, ENOMEM);
    }
    /* Reached with the old number, left with the new one, or the other way round. */
    loop->max_connections = share_of(loop, snapshot->conf->server.max_connections);
    loop->limits.max_head = (size_t)snapshot->conf->server.max_header_size;
    loop->limits.max_body = (uint64_t)snapshot->conf->server.max_body_size;
    if (loop->accepting == is_full(loop) && !event_pending(loop->resume_event, EV_TIMEOUT, NULL))
        set_accepting(loop, !is_full(loop));
    accept_turn_set_max(loop->turn, loop->index, loop->max_connections);
    take_free_turn(loop);
    pass_turn(loop);
}

void server_drain(struct loop *loop)
{
    struct list *link;

    loop->draining = true;
    /* What waits at an inherited socket is served by whoever inherits it next. */
    list_for_each(link, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);

        if (binding->inherited)
            stop_accepting(binding);
    }
    update_acceptors(loop);
    loop->last_turns = LAST_TURNS_ACCEPTING + LAST_TURNS_READING;
}

static bool somebody_knocks(struct loop *loop)
{
    struct list *link;

    list_for_each(link, &loop->bindings)
        if (is_knocked_at(container_of(link, struct binding, link)))
            return true;
    return false;
}

void server_take_last_turn(struct loop *loop)
{
    struct list *link;

    loop->last_turns--;
    if (loop->last_turns > LAST_TURNS_READING && somebody_knocks(loop))
        return;
    if (loop->last_turns >= LAST_TURNS_READING) {
        loop->last_turns = LAST_TURNS_READING - 1;
        list_for_each(link, &loop->bindings)
            stop_accepting(container_of(link, struct binding, link));
    }
    if (!loop->last_turns && !loop->in_flight)
        loop->on_idle(loop->on_idle_arg);
}

/* A client sends its next request within this time, or it may find the connection closed. */
enum { AWAIT_MS = 200 };

unsigned server_count_awaited(struct loop *loop)
{
    int64_t recent = clock_now_ns() - AWAIT_MS * NS_PER_MS;
    struct list *link;
    unsigned count = 0;

    list_for_each(link, &loop->conns)
        count += conn_awaits_request(container_of(link, struct conn, link), recent);
    return count;
}

void server_refuse(struct loop *loop)
{
    loop->refusing = true;
    dispatch_flush(loop);
    reply_refuse_held(loop);
}

void server_free_unused(struct loop *loop)
{
    struct list *link, *next;

    loop->retiring = false;
    list_for_each_safe(link, next, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);

        if (binding->retired_fd >= 0 && !--binding->retired_turns) {
            close(binding->retired_fd);
            binding->retired_fd = -1;
        }
        if (binding->last_turns && is_waited_at(binding) && leave_later(binding)) {
            binding->last_turns = 0;
        } else if (binding->last_turns && (!--binding->last_turns || !is_knocked_at(binding))) {
            binding->last_turns = 0;
            stop_accepting(binding);
        }
        if (binding->retired_fd >= 0 || binding->last_turns)
            loop->retiring = true;
        else if (binding->closing && !binding->acceptor && !binding->n_connections)
            free_binding(binding);
    }
}

void server_close_bindings(struct loop *loop)
{
    struct list *link, *next;

    /* Those that were accepted last get their close callbacks. */
    conn_attach_fresh(loop);
    list_for_each_safe(link, next, &loop->bindings)
        free_binding(container_of(link, struct binding, link));
}
