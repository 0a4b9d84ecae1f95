/* DESIGN
 *
 * A binding is one listener on one loop: an evhttp of its own, so that a request's callback knows
 * where it came in, fed by an evconnlistener on a duplicate of the listener's descriptor.  evhttp's
 * own route list is never used; every request goes to the generic callback, and from there:
 *
 *   begin an exchange -> method and target -> router -> copy what the action needs -> dispatch
 *
 * A listener that a reload removes leaves its binding behind without a listener, so that what is in
 * flight on its connections is answered; the next answer closes each of them. */
#include "server.h"

#include "action.h"
#include "dispatch.h"
#include "exchange.h"
#include "log.h"
#include "problem.h"
#include "reply.h"
#include "target.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

/* Until the limits are options. */
enum { MAX_HEAD_BYTES = 16 << 10, MAX_BODY_BYTES = 1 << 20 };

/* The bit of connections whose listener is gone: only routes for every listener match it. */
enum { NO_LISTENER = 63 };

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
    bool closing; /* the listener is gone: answers tell clients to close */
};

/* ---- one request ----------------------------------------------------------------------------- */

static enum http_method method_of(enum evhttp_cmd_type command)
{
    switch (command) {
    case EVHTTP_REQ_GET:
        return METHOD_GET;
    case EVHTTP_REQ_HEAD:
        return METHOD_HEAD;
    case EVHTTP_REQ_POST:
        return METHOD_POST;
    case EVHTTP_REQ_PUT:
        return METHOD_PUT;
    case EVHTTP_REQ_PATCH:
        return METHOD_PATCH;
    case EVHTTP_REQ_DELETE:
        return METHOD_DELETE;
    case EVHTTP_REQ_OPTIONS:
        return METHOD_OPTIONS;
    default:
        return METHOD_UNKNOWN;
    }
}

static bool sane_id(const char *id)
{
    size_t len = id ? strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789._-")
                    : 0;

    return len && len < EXCHANGE_ID_SIZE && !id[len];
}

/* The client's own request id if it is harmless everywhere it goes, else a new one. */
static void set_id(struct exchange *x, const char *given)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = x->loop->next_id;
    size_t prefix = sizeof x->loop->id_prefix - 1;

    if (sane_id(given)) {
        strcpy(x->id, given);
        return;
    }
    x->loop->next_id++;
    memcpy(x->id, x->loop->id_prefix, prefix);
    for (size_t i = 0; i < 16; i++)
        x->id[prefix + i] = digits[number >> (60 - 4 * i) & 15];
    x->id[prefix + 16] = '\0';
}

static int copy_headers(struct request *request, const struct evkeyvalq *from)
{
    const struct evkeyval *field;
    size_t count = 0;

    TAILQ_FOREACH(field, from, next)
    count++;
    request->headers = arena_alloc(&request->arena, (count + 1) * sizeof *request->headers);
    if (!request->headers)
        return -ENOMEM;
    TAILQ_FOREACH(field, from, next)
    {
        struct header *header = &request->headers[request->n_headers++];

        header->name = arena_strndup(&request->arena, field->key, strlen(field->key));
        header->value = arena_strndup(&request->arena, field->value, strlen(field->value));
        if (!header->name || !header->value)
            return -ENOMEM;
    }
    return 0;
}

static int copy_body(struct request *request, struct evbuffer *from)
{
    size_t len = evbuffer_get_length(from);
    char *body = arena_alloc(&request->arena, len + 1);

    if (!body || evbuffer_copyout(from, body, len) != (ev_ssize_t)len)
        return -ENOMEM;
    body[len] = '\0';
    request->body = (struct slice){body, len};
    return 0;
}

static const char *copy_peer(struct exchange *x, const struct binding *binding)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(x->ev);
    char *address = NULL;
    ev_uint16_t port = 0;

    if (binding->is_unix)
        return "unix";
    if (connection)
        evhttp_connection_get_peer(connection, &address, &port);
    if (!address)
        return "";
    return arena_strndup(&x->request.arena, address, strlen(address));
}

/* Copies what the route's action asks for; the request must not need evhttp's any more. */
static int copy_needs(struct exchange *x, const struct binding *binding, unsigned needs)
{
    int r = 0;

    if (needs & ACTION_NEEDS_HEADERS) {
        x->request.peer = copy_peer(x, binding);
        r = x->request.peer ? copy_headers(&x->request, evhttp_request_get_input_headers(x->ev))
                            : -ENOMEM;
    }
    if (!r && (needs & ACTION_NEEDS_BODY))
        r = copy_body(&x->request, evhttp_request_get_input_buffer(x->ev));
    return r;
}

/* 204 for OPTIONS, 405 for the others; both tell what is allowed. */
static void respond_allow(struct exchange *x, unsigned methods)
{
    int status = x->request.method == METHOD_OPTIONS ? 204 : 405;
    struct strbuf allow = {0};
    char *text;

    http_method_print(methods, &allow);
    text = arena_strndup(&x->request.arena, strbuf_cstr(&allow), allow.len);
    if (status == 204)
        response_static(&x->request, status, NULL, "", 0);
    else
        problem_respond(&x->request, status, NULL, "the method %s is not allowed here; allowed: %s",
                        x->request.method_name, strbuf_cstr(&allow));
    if (text)
        response_add_header(&x->request, "Allow", text);
    strbuf_free(&allow);
    reply_send(x);
}

static void answer_no_route(struct exchange *x, int found)
{
    struct request *request = &x->request;

    if (found == -EACCES) {
        respond_allow(x, request->match.allowed);
    } else {
        problem_respond(request, 404, "no_route", "no route matches the path");
        reply_send(x);
    }
}

static void route_request(struct exchange *x, const struct binding *binding)
{
    struct request *request = &x->request;
    const struct conf *conf = request->snapshot->conf;
    int found = router_find(conf->router, request->path.data, request->path.len,
                            METHOD_BIT(request->method), binding->index, &request->match);

    if (found) {
        answer_no_route(x, found);
        return;
    }
    request->route = &conf->routes[request->match.route];
    if (copy_needs(x, binding, action_of(request->route->action)->needs)) {
        problem_respond(request, 503, NULL, "out of memory");
        reply_send(x);
        return;
    }
    dispatch_run(x);
}

/* Whether a comma-separated list (RFC 9110, 5.6.1) has the token. */
static bool has_token(const char *list, const char *token)
{
    size_t len = strlen(token);

    while (list && *list) {
        list += strspn(list, " \t,");
        if (!strncasecmp(list, token, len) && (!list[len] || strchr(" \t,", list[len])))
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

static void read_connection_header(struct exchange *x, const struct evkeyvalq *headers)
{
    const char *connection = evhttp_find_header(headers, "Connection");

    x->http10 = x->ev->major == 1 && x->ev->minor == 0;
    x->keep_alive = has_token(connection, "keep-alive");
    x->close = has_token(connection, "close") || (x->http10 && !x->keep_alive);
}

static void on_request(struct evhttp_request *ev, void *arg)
{
    const struct binding *binding = arg;
    struct exchange *x = exchange_begin(binding->loop, ev);
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(ev);
    const char *target = evhttp_request_get_uri(ev);
    struct request *request;

    if (!x) {
        /* Not even an answer can be put together; the client sees the connection end. */
        evhttp_connection_free(evhttp_request_get_connection(ev));
        return;
    }
    request = &x->request;
    set_id(x, evhttp_find_header(headers, "X-Request-Id"));
    read_connection_header(x, headers);
    x->closing = &binding->closing;
    request->method = method_of(evhttp_request_get_command(ev));
    request->method_name =
        request->method == METHOD_UNKNOWN ? "" : http_method_names[request->method];
    request->target = (struct slice){target, strlen(target)};
    if (request->method == METHOD_UNKNOWN) {
        problem_respond(request, 405, NULL, "the method is not allowed here");
        reply_send(x);
    } else if (target_parse(target, request->target.len, &request->arena, &request->path,
                            &request->query)) {
        problem_respond(request, 400, NULL, "the request target is malformed");
        reply_send(x);
    } else if (request->path.data[0] == '*') {
        respond_allow(x,
                      request->method == METHOD_OPTIONS ? METHOD_ALL : METHOD_BIT(METHOD_OPTIONS));
    } else {
        route_request(x, binding);
    }
}

/* ---- bindings -------------------------------------------------------------------------------- */

static struct bufferevent *new_bufferevent(struct event_base *base, void *arg)
{
    (void)arg;
    /* Not BEV_OPT_CLOSE_ON_FREE: evhttp shuts the descriptor down and closes it itself. */
    return bufferevent_socket_new(base, -1, 0);
}

static void free_binding(struct binding *binding)
{
    list_remove(&binding->link);
    if (binding->http)
        evhttp_free(binding->http);
    free(binding);
}

static int accept_from(struct binding *binding, int fd)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED;
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
        return -ENOMEM;
    }
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
                                .is_unix = listener->unix_path != NULL};
    list_add_tail(&loop->bindings, &binding->link);
    binding->http = evhttp_new(loop->base);
    if (binding->http) {
        evhttp_set_gencb(binding->http, on_request, binding);
        evhttp_set_bevcb(binding->http, new_bufferevent, NULL);
        evhttp_set_default_content_type(binding->http, NULL);
        evhttp_set_max_headers_size(binding->http, MAX_HEAD_BYTES);
        evhttp_set_max_body_size(binding->http, MAX_BODY_BYTES);
        evhttp_set_allowed_methods(binding->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD |
                                                      EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                                      EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE |
                                                      EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE);
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

/* The binding's connections live on. */
static void stop_accepting(struct binding *binding)
{
    if (!binding->acceptor)
        return;
    evhttp_del_accept_socket(binding->http, binding->socket);
    binding->acceptor = NULL;
    binding->listener = NULL;
    binding->closing = true;
    binding->index = NO_LISTENER;
}

int server_prepare(struct loop *loop, struct listener *const *listeners, size_t n)
{
    int r = 0;

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

void server_commit(struct loop *loop, struct snapshot *snapshot, struct listener *const *listeners,
                   size_t n)
{
    struct snapshot *before = loop->snapshot;
    struct list *link;

    /* Tasks of the old snapshot reach their pools before anybody may retire those. */
    dispatch_flush(loop);
    loop->snapshot = snapshot_ref(snapshot);
    snapshot_unref(before);
    list_for_each(link, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);
        size_t i = 0;

        while (i < n && listeners[i] != binding->listener)
            i++;
        if (i == n) {
            stop_accepting(binding);
            continue;
        }
        binding->index = (unsigned)i;
        binding->prepared = false;
        evconnlistener_enable(binding->acceptor);
    }
}

/* Turns enough to accept a full backlog and to read what came with it; a flood that goes on
 * connecting is not waited for. */
enum { LAST_TURNS_ACCEPTING = 64, LAST_TURNS_READING = 3 };

void server_drain(struct loop *loop)
{
    loop->draining = true;
    loop->last_turns = LAST_TURNS_ACCEPTING + LAST_TURNS_READING;
}

static bool somebody_knocks(struct loop *loop)
{
    struct list *link;

    list_for_each(link, &loop->bindings) {
        struct binding *binding = container_of(link, struct binding, link);
        struct pollfd poll_fd = {.events = POLLIN};

        poll_fd.fd = binding->acceptor ? evconnlistener_get_fd(binding->acceptor) : -1;
        if (poll(&poll_fd, 1, 0) > 0)
            return true;
    }
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

void server_refuse(struct loop *loop)
{
    loop->refusing = true;
    dispatch_flush(loop);
    reply_refuse_held(loop);
}

void server_close_bindings(struct loop *loop)
{
    struct list *link, *next;

    list_for_each_safe(link, next, &loop->bindings)
        free_binding(container_of(link, struct binding, link));
}
