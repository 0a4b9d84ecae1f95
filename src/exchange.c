#include "exchange.h"

#include "account.h"
#include "answer_stream.h"
#include "body_stream.h"
#include "loop.h"

#include <stdlib.h>
#include <string.h>

struct exchange *exchange_begin(struct loop *loop)
{
    struct list *spare = list_pop_head(&loop->free_exchanges);
    struct exchange *exchange;

    if (spare) {
        exchange = container_of(spare, struct exchange, link);
        loop->n_free_exchanges--;
    } else {
        exchange = malloc(sizeof *exchange);
        if (!exchange)
            return NULL;
    }
    /* Not the arena's memory: clearing a KiB for each request would be felt. */
    memset(exchange, 0, offsetof(struct exchange, id));
    list_init(&exchange->link);
    exchange->loop = loop;
    exchange->begun_ns = clock_now_ns();
    exchange->id[0] = '\0';
    exchange->request.snapshot = snapshot_use(loop->snapshot, loop->index);
    exchange->request.id = exchange->id;
    exchange->request.task.reply_to = &loop->mailbox;
    arena_init(&exchange->request.arena, exchange->memory, sizeof exchange->memory);
    loop->in_flight++;
    return exchange;
}

static void free_streams(struct request *request)
{
    body_stream_free(request);
    answer_free(request);
}

static const char *copy_text(struct arena *arena, const char *text)
{
    const char *copy = text ? arena_strndup(arena, text, strlen(text)) : NULL;

    return copy ? copy : "";
}

static struct slice copy_slice(struct arena *arena, struct slice from)
{
    char *copy = from.len ? arena_strndup(arena, from.data, from.len) : NULL;

    return (struct slice){copy, copy ? from.len : 0};
}

static void copy_for_log(struct exchange *to, const struct exchange *from)
{
    struct arena *arena = &to->request.arena;
    const char *trace_id = from->request.trace.id;

    to->request.peer = from->request.peer ? copy_text(arena, from->request.peer) : NULL;
    to->request.trace.id = trace_id ? copy_text(arena, trace_id) : NULL;
    to->referer = copy_slice(arena, from->referer);
    to->user_agent = copy_slice(arena, from->user_agent);
}

struct exchange *exchange_split(struct exchange *from)
{
    struct exchange *to = exchange_begin(from->loop);
    struct request *request;

    if (!to)
        return NULL;
    request = &to->request;
    snapshot_done(request->snapshot, to->loop->index);
    request->snapshot = snapshot_use(from->request.snapshot, to->loop->index);
    request->route = from->request.route;
    request->method = from->request.method;
    request->method_name = copy_text(&request->arena, from->request.method_name);
    request->target.data = copy_text(&request->arena, from->request.target.data);
    request->target.len = strlen(request->target.data);
    memcpy(to->id, from->id, sizeof to->id);
    /* The request is counted with its answer.  The task's times are settled up to now. */
    to->part = from->part;
    to->begun = from->begun;
    from->part = NULL;
    from->begun = false;
    copy_for_log(to, from);
    to->begun_ns = from->begun_ns;
    request->task.submitted_ns = from->request.task.submitted_ns;
    request->task.started_ns = from->request.task.started_ns;
    request->task.finished_ns = clock_now_ns();
    to->body_clock = from->body_clock;
    to->http10 = from->http10;
    to->close = from->close;
    to->linger = from->linger;
    to->conn = from->conn;
    from->conn = NULL;
    return to;
}

void exchange_end(struct exchange *exchange)
{
    struct loop *loop = exchange->loop;

    if (exchange->begun)
        account_end(exchange, clock_now_ns());
    list_remove(&exchange->link);
    loop_timer_stop(loop, &exchange->timer);
    strbuf_free(&exchange->body);
    if (exchange->request.body_stream || exchange->request.answer)
        free_streams(&exchange->request);
    response_drop_body(&exchange->request.response);
    arena_clear(&exchange->request.arena);
    snapshot_done(exchange->request.snapshot, loop->index);
    if (loop->n_free_exchanges < LOOP_MAX_FREE_EXCHANGES) {
        list_add_head(&loop->free_exchanges, &exchange->link);
        loop->n_free_exchanges++;
    } else {
        free(exchange);
    }
    loop->in_flight--;
    if (loop->draining && !loop->last_turns && !loop->in_flight)
        loop->on_idle(loop->on_idle_arg);
}

void exchange_times(const struct exchange *exchange, int64_t now_ns, struct exchange_times *out)
{
    const struct task *task = &exchange->request.task;
    int64_t submitted = task->submitted_ns, started = task->started_ns;

    *out = (struct exchange_times){.total_ns = now_ns - exchange->begun_ns};
    if (submitted)
        out->queue_ns = (started ? started : now_ns) - submitted;
    if (started)
        /* While the task is with its pool, its end is not ours to look at. */
        out->run_ns =
            (!exchange->with_pool && task->finished_ns ? task->finished_ns : now_ns) - started;
    else if (exchange->dispatched_ns)
        out->run_ns = (exchange->ready_ns ? exchange->ready_ns : now_ns) - exchange->dispatched_ns;
}

void exchange_free_spares(struct loop *loop)
{
    struct list *link;

    while ((link = list_pop_head(&loop->free_exchanges)))
        free(container_of(link, struct exchange, link));
    loop->n_free_exchanges = 0;
}
