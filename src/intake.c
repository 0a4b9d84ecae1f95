#include "intake.h"

#include "access_log.h"
#include "account.h"
#include "action.h"
#include "admit.h"
#include "conn.h"
#include "conn_address.h"
#include "dispatch.h"
#include "loop.h"
#include "problem.h"
#include "reply.h"
#include "server.h"
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char no_memory[] = "out of memory";

/* ---- the head -------------------------------------------------------------------------------- */

static bool sane_id(const char *id, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";

    for (size_t i = 0; i < len; i++)
        if (!memchr(allowed, id[i], sizeof allowed - 1))
            return false;
    return len && len < EXCHANGE_ID_SIZE;
}

/* Sets the loop's id to the next one. */
static void count_id(char next_id[33])
{
    for (char *digit = next_id + 31; digit > next_id + 15; digit--) {
        *digit = (char)(*digit == '9' ? 'a' : *digit == 'f' ? '0' : *digit + 1);
        if (*digit != '0')
            return;
    }
}

/* The client's own request id if it is harmless everywhere it goes, else a new one. */
static void set_id(struct exchange *x, const struct guard_head *head)
{
    const struct guard_field *given = head ? guard_head_find(head, "X-Request-Id") : NULL;

    if (given && sane_id(guard_text(head, given->value), given->value.len)) {
        memcpy(x->id, guard_text(head, given->value), given->value.len);
        x->id[given->value.len] = '\0';
        return;
    }
    memcpy(x->id, x->loop->next_id, sizeof x->loop->next_id);
    count_id(x->loop->next_id);
}

static struct slice copy_span(struct exchange *x, const struct guard_head *head,
                              struct guard_span span)
{
    char *copy = arena_strndup(&x->request.arena, guard_text(head, span), span.len);

    return (struct slice){copy ? copy : "", copy ? span.len : 0};
}

static void set_method(struct exchange *x, const struct guard_head *head)
{
    struct request *request = &x->request;

    request->method = head->method;
    request->method_name = head->method < METHOD_COUNT ? http_method_names[head->method]
                                                       : copy_span(x, head, head->method_name).data;
}

static int copy_fields(struct request *request, const struct guard_head *head)
{
    struct arena *arena = &request->arena;

    request->headers = arena_alloc(arena, (head->n_fields + 1) * sizeof *request->headers);
    if (!request->headers)
        return -ENOMEM;
    for (uint32_t i = 0; i < head->n_fields; i++) {
        const struct guard_field *field = &head->fields[i];
        struct header *header = &request->headers[i];
        struct guard_span value = field->value;

        /* RFC 9112, 3.2.2: the host that the target names takes the place of the field's. */
        if (head->absolute && field->name.len == 4 &&
            !strncasecmp(guard_text(head, field->name), "Host", 4))
            value = head->host;
        header->name = arena_strndup(arena, guard_text(head, field->name), field->name.len);
        header->value = arena_strndup(arena, guard_text(head, value), value.len);
        if (!header->name || !header->value)
            return -ENOMEM;
    }
    request->n_headers = head->n_fields;
    return 0;
}

static unsigned needs_of(const struct request *request)
{
    return action_of(request->route->action)->needs | request->route->needs;
}

/* Copies what the route's action asks for. */
static int copy_needs(struct exchange *x, const struct guard_head *head)
{
    struct request *request = &x->request;
    unsigned needs = needs_of(request);

    if ((needs & ACTION_NEEDS_LOCAL) &&
        conn_local_address(x->conn, &request->arena, &request->local_address, &request->local_port))
        return -ENOMEM;
    if (!(needs & ACTION_NEEDS_HEADERS) || !head)
        return 0;
    x->request.peer = conn_peer_address(x->conn, &x->request.arena);
    return x->request.peer ? copy_fields(&x->request, head) : -ENOMEM;
}

static void add_allow(struct exchange *x, unsigned methods)
{
    struct strbuf allow = {0};
    char *text;

    http_method_print(methods, &allow);
    text = allow.failed ? NULL : arena_strndup(&x->request.arena, strbuf_cstr(&allow), allow.len);
    if (text)
        response_add_header(&x->request, "Allow", text);
    else
        problem_respond(&x->request, 503, NULL, no_memory); /* a 405 has to have the field */
    strbuf_free(&allow);
}

/* 204 for OPTIONS, 405 for the others; both tell what is allowed. */
static void respond_allow(struct exchange *x, unsigned methods)
{
    if (x->request.method == METHOD_OPTIONS)
        response_static(&x->request, 204, NULL, "", 0);
    else
        problem_respond(&x->request, 405, NULL, "the method %s is not allowed here",
                        x->request.method_name);
    add_allow(x, methods);
}

/* The client's own limit for its wait, where the listener trusts it.  0, or an error, -EINVAL when it
 * makes no sense, which the response tells. */
static int read_budget(struct exchange *x, const struct guard_head *head)
{
    const struct conf *conf = x->request.snapshot->conf;
    unsigned listener = server_listener_index(x->conn);
    const char *name =
        listener < conf->n_listeners ? conf->listeners[listener].queue_budget_header : NULL;
    const struct guard_field *field = name ? guard_head_find(head, name) : NULL;
    const char *text = field ? copy_span(x, head, field->value).data : NULL;

    if (!text || !x->request.route->action->blocking)
        return 0;
    if (field->value.len && !*text) {
        problem_respond(&x->request, 503, NULL, no_memory);
        return -ENOMEM;
    }
    if (!parse_duration(text, &x->queue_budget_ns) && x->queue_budget_ns > 0)
        return 0;
    problem_respond(
        &x->request, 400, NULL,
        "%s: found \"%s\"; allowed: a number of seconds or with a unit, as in \"250ms\"", name,
        text);
    return -EINVAL;
}

static void find_route(struct exchange *x, const struct guard_head *head)
{
    struct request *request = &x->request;
    const struct conf *conf = request->snapshot->conf;
    int found =
        router_find(conf->router, request->path.data, request->path.len,
                    METHOD_BIT(request->method), server_listener_index(x->conn), &request->match);

    if (found == -EACCES) {
        respond_allow(x, request->match.allowed);
    } else if (found) {
        problem_respond(request, 404, "no_route", "no route matches the path");
    } else {
        request->route = &conf->routes[request->match.route];
        /* A redirected request has no head any more, and keeps what was read of it. */
        if (!(head && read_budget(x, head)) && copy_needs(x, head))
            problem_respond(request, 503, NULL, no_memory);
    }
}

static void read_target(struct exchange *x, const struct guard_head *head)
{
    struct request *request = &x->request;
    int r =
        target_path(guard_text(head, head->path), head->path.len, &request->arena, &request->path);

    request->query.len = head->query.len;
    request->query.data =
        arena_strndup(&request->arena, guard_text(head, head->query), head->query.len);
    if (r == -ENOMEM || !request->query.data)
        problem_respond(request, 503, NULL, no_memory);
    else if (r)
        problem_respond(request, 400, NULL, "the path of the request is malformed");
    else
        find_route(x, head);
}

/* Which of the two ways the action takes the request's body; 0: it does not, or is not asked. */
static unsigned needs_body(const struct exchange *x)
{
    const struct request *request = &x->request;

    if (!request->route || request->response.status)
        return 0;
    return needs_of(request) & (ACTION_STREAMS_BODY | ACTION_NEEDS_BODY);
}

/* Makes room for a body before it comes: one that grows step by step is moved at each, and what it
 * leaves behind stays with the process.  Memory that is not written to costs nothing. */
static void reserve_body(struct exchange *x, const struct guard_head *head)
{
    enum { MOST = 1 << 20, MOST_UNKNOWN = 1 << 18 };
    uint64_t most = head->chunked ? MOST_UNKNOWN : MOST;
    uint64_t length = head->chunked ? intake_max_body(x) : head->content_length;

    if (head->has_body && length <= intake_max_body(x) && (needs_body(x) & ACTION_NEEDS_BODY))
        strbuf_reserve(&x->body, (size_t)(length < most ? length : most));
}

void intake_head(struct exchange *x, const struct guard_head *head)
{
    struct request *request = &x->request;

    set_id(x, head);
    set_method(x, head);
    x->http10 = head->minor == 0;
    request->protocol = x->http10 ? "HTTP/1.0" : "HTTP/1.1";
    x->close = head->close;
    x->has_body = head->has_body;
    request->target = copy_span(x, head, head->target);
    if (!request->target.len)
        problem_respond(request, 503, NULL, no_memory);
    else if (head->asterisk)
        respond_allow(x, METHOD_ALL);
    else
        read_target(x, head);
    reserve_body(x, head);
    trace_context_read(&request->trace, head, &request->arena);
    account_begin(x);
    access_log_begin(x, head);
}

uint64_t intake_max_body(const struct exchange *x)
{
    const struct request *request = &x->request;
    return (uint64_t)(request->route ? request->route->max_body_size
                                     : request->snapshot->conf->server.max_body_size);
}

uint64_t intake_limit(const struct conn *conn, const struct guard_fault *fault)
{
    if (fault == guard_fault(GUARD_BODY_LONG))
        return intake_max_body(conn->exchange);
    if (fault == guard_fault(GUARD_FIELD_COUNT))
        return conn->loop->limits.max_fields;
    if (fault == guard_fault(GUARD_HEAD_LONG) || fault == guard_fault(GUARD_LINE_LONG))
        return conn->loop->limits.max_head;
    return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

bool intake_streams_body(const struct exchange *x)
{
    /* A template that holds the body needs it whole. */
    return needs_body(x) == ACTION_STREAMS_BODY;
}

int intake_body(struct exchange *x, const char *data, size_t len)
{
    if (!needs_body(x))
        return 0;
    strbuf_add(&x->body, data, len);
    return x->body.failed ? -ENOMEM : 0;
}

void intake_refuse(struct exchange *x, const struct guard_head *head, int status,
                   const char *detail)
{
    struct request *request = &x->request;

    if (!*x->id)
        set_id(x, head);
    if (!request->method_name) {
        request->method = METHOD_UNKNOWN;
        request->method_name = "";
    }
    if (head && !request->target.data) {
        set_method(x, head);
        request->target = copy_span(x, head, head->target);
    }
    account_begin(x);
    access_log_begin(x, head);
    x->fault = detail;
    response_clear(request);
    problem_respond(request, status, NULL, "%s", detail);
    if (status == 405)
        add_allow(x, METHOD_ALL);
    x->close = x->linger = true;
}

void intake_run(struct exchange *x)
{
    struct request *request = &x->request;

    request->body = (struct slice){strbuf_cstr(&x->body), x->body.len};
    if (request->route && !request->response.status && !admit_is_for_worker(request))
        admit_request(request);
    if (request->response.status)
        reply_send(x);
    else
        dispatch_run(x);
}

enum { MAX_REDIRECTS = 10 };

/* Makes the request one for another target, as if it had come for that: without its body, and with
 * what else came of the old target gone. */
static int retarget(struct exchange *x, const char *target)
{
    struct request *request = &x->request;
    size_t path_len = strcspn(target, "?");
    const char *query = target + path_len + (target[path_len] == '?');

    response_clear(request);
    strbuf_free(&x->body);
    request->redirect = NULL;
    request->params = NULL;
    request->header_lines = NULL;
    if (request->method != METHOD_HEAD) {
        request->method = METHOD_GET;
        request->method_name = http_method_names[METHOD_GET];
    }
    if (strchr(target, '#'))
        return -EINVAL;
    /* The target lives in the arena, too. */
    request->query = (struct slice){query, strlen(query)};
    return target_path(target, path_len, &request->arena, &request->path);
}

void intake_redirect(struct exchange *x)
{
    struct request *request = &x->request;
    const char *target = request->redirect;
    int r = ++x->n_redirects > MAX_REDIRECTS ? -ELOOP : retarget(x, target);

    request->redirect = NULL;
    if (r == -ENOMEM)
        problem_respond(request, 503, NULL, no_memory);
    else if (r)
        problem_respond(request, 502, "bad_output", "the program redirects to \"%s\", %s", target,
                        r == -ELOOP ? "after ten others" : "which is no path");
    else
        find_route(x, NULL);
    intake_run(x);
}
