/* DESIGN
 *
 * Loop actions run right here.  Blocking ones become tasks; those of one turn of the loop gather in
 * the loop's batches and are submitted together when the turn ends, so that a pool's lock is taken
 * once and one worker at most is woken, however many requests a turn has brought. */
#include "dispatch.h"

#include "account.h"
#include "action.h"
#include "answer_stream.h"
#include "conn.h"
#include "hold.h"
#include "intake.h"
#include "log.h"
#include "loop.h"
#include "problem.h"
#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pool *pool_of(const struct request *request)
{
    return request->snapshot->pools[request->route->pool_index];
}

/* On a worker's thread. */
static void run_task(struct task *task)
{
    struct request *request = container_of(task, struct request, task);
    const struct conf_route *route = request->route;

    request_hand_over(request, REQUEST_OF_LOOP, REQUEST_OF_POOL);
    request->result = action_of(route->action)->run(request, route->settings);
    request_hand_over(request, REQUEST_OF_POOL, REQUEST_OF_LOOP);
}

static void respond_failure(struct request *request)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};

    log_limited(&limit, LOG_LEVEL_ERROR, "request %s: route %s: action %s failed: %s", request->id,
                request->route->path, request->route->action->name, strerror(-request->result));
    problem_respond(request, 500, "action_failed", "the action failed: %s",
                    strerror(-request->result));
}

static void log_broken(const struct request *request)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};

    log_limited(&limit, LOG_LEVEL_ERROR,
                "request %s: route %s: the answer of action %s is broken off: %s", request->id,
                request->route->path, request->route->action->name,
                request->result ? strerror(-request->result) : "the request was refused meanwhile");
}

enum { RETRY_AFTER_MIN = 1, RETRY_AFTER_MAX = 30 };

/* Seconds until the queue as it stands has been worked off, by the mean run time so far. */
static unsigned retry_after(struct pool *pool)
{
    struct pool_stats stats;
    double seconds;

    pool_get_stats(pool, &stats);
    if (!stats.ran)
        return RETRY_AFTER_MIN;
    seconds = (double)stats.run_ns / (double)stats.ran / (double)NS_PER_SEC *
              (double)(stats.queued + stats.busy) / (double)stats.threads;
    if (seconds >= RETRY_AFTER_MAX)
        return RETRY_AFTER_MAX;
    return seconds <= RETRY_AFTER_MIN ? RETRY_AFTER_MIN : (unsigned)(seconds + 0.999);
}

static void refuse(struct exchange *x, enum task_end reason)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    struct request *request = &x->request;
    struct pool *pool = pool_of(request);
    char *seconds = arena_alloc(&request->arena, 16);

    if (!x->conn) {
        exchange_end(x);
        return;
    }

    if (reason == TASK_DRAINING)
        problem_respond(request, 503, "draining", "the daemon is stopping");
    else
        problem_respond(request, 503, "queue_full",
                        "every thread of the pool \"%s\" is busy and its queue is full",
                        pool_name(pool));
    if (reason == TASK_QUEUE_FULL)
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "pool %s: queue full, request %s for route %s refused", pool_name(pool),
                    request->id, request->route->path);
    if (seconds) {
        snprintf(seconds, 16, "%u", retry_after(pool));
        response_add_header(request, "Retry-After", seconds);
    }
    reply_send(x);
}

static void take_back(struct exchange *x)
{
    x->with_pool = false;
    account_task_returned(x, clock_now_ns());
}

/* Part of the answer may have been prepared, but none of it has gone out. */
static void send_refusal(struct exchange *x)
{
    answer_free(&x->request);
    intake_refuse(x, NULL, x->refused_status, x->refused_detail);
    reply_send(x);
}

/* None of the action's answer has gone out. */
static void end_action(struct exchange *x)
{
    struct request *request = &x->request;

    if (x->refused_status) {
        send_refusal(x);
        return;
    }
    if (request->result == -ECANCELED) {
        reply_draining(x);
        return;
    }
    if (request->result)
        respond_failure(request);
    reply_send(x);
}

/* The action has begun to send its answer by itself. */
static void end_streamed(struct exchange *x)
{
    struct request *request = &x->request;
    bool head_is_out = x->conn->phase == CONN_STREAMING;

    if (!request->result && !(x->refused_status && !head_is_out)) {
        conn_end_answer(x->conn);
    } else if (head_is_out) {
        log_broken(request);
        conn_break_answer(x->conn);
    } else {
        answer_free(request);
        end_action(x);
    }
}

/* On the loop's thread again: the task ran, or was turned out of its queue. */
static void on_task_done(struct mail *mail)
{
    struct task *task = container_of(mail, struct task, done);
    struct request *request = container_of(task, struct request, task);
    struct exchange *x = exchange_of(request);

    take_back(x);
    if (!x->conn) {
        exchange_end(x);
        return;
    }
    if (task->end != TASK_RAN) {
        refuse(x, task->end);
        return;
    }
    if (answer_has_begun(request))
        end_streamed(x);
    else
        end_action(x);
}

static void flush_batch(struct loop_batch *batch)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    struct task_list tasks = batch->tasks, refused;
    struct pool *pool = pool_ref(batch->pool); /* refusals may let the last request go */
    struct task *task;
    int r;

    batch->tasks = (struct task_list){0};
    for (task = tasks.first; task; task = task->next)
        exchange_of(container_of(task, struct request, task))->batched = false;
    r = pool_submit(pool, &tasks, &refused);
    if (r)
        log_limited(&limit, LOG_LEVEL_ERROR,
                    "pool %s: cannot make a thread: %s; tasks wait for the threads there are",
                    pool_name(pool), strerror(-r));
    while ((task = task_list_pop(&refused))) {
        struct exchange *x = exchange_of(container_of(task, struct request, task));

        take_back(x);
        refuse(x, task->end);
    }
    pool_unref(pool);
}

void dispatch_flush(struct loop *loop)
{
    /* Answers to refused tasks cannot add to the batches: requests are read in the next turn. */
    for (unsigned i = 0; i < loop->n_batches; i++)
        flush_batch(&loop->batches[i]);
    loop->n_batches = 0;
}

static void enqueue(struct exchange *x)
{
    struct loop *loop = x->loop;
    struct request *request = &x->request;
    struct pool *pool = pool_of(request);
    struct task *task = &request->task;
    unsigned i = 0;

    request->take_answer = conn_take_answer;
    task->run = run_task;
    task->done.deliver = on_task_done;
    while (i < loop->n_batches && loop->batches[i].pool != pool)
        i++;
    if (i == LOOP_MAX_BATCHES) {
        dispatch_flush(loop);
        i = 0;
    }
    if (i == loop->n_batches)
        loop->batches[loop->n_batches++] = (struct loop_batch){.pool = pool};
    task_list_add(&loop->batches[i].tasks, task);
    x->with_pool = x->batched = true;
    account_task_submitted(x);
}

/* Takes a task back that has not been submitted yet. */
static void unbatch(struct exchange *x)
{
    struct loop *loop = x->loop;
    unsigned i = 0;

    while (loop->batches[i].pool != pool_of(&x->request))
        i++;
    task_list_remove(&loop->batches[i].tasks, &x->request.task);
    x->batched = false;
    take_back(x);
}

void dispatch_abandon(struct exchange *x)
{
    hold_release(x);
    if (x->batched)
        unbatch(x);
    else if (x->with_pool && !pool_withdraw(pool_of(&x->request), &x->request.task))
        return; /* it runs, or its mail is under way */
    else if (x->with_pool)
        take_back(x);
    exchange_end(x);
}

/* A loop action.  Without a body the head has been complete but for a moment. */
static void run_here(struct exchange *x)
{
    struct request *request = &x->request;
    const struct conf_route *route = request->route;

    x->dispatched_ns = x->has_body ? clock_now_ns() : x->begun_ns;
    request->result = action_of(route->action)->run(request, route->settings);
    x->ready_ns = clock_now_ns();
    lag_note(x->loop, x, x->ready_ns - x->dispatched_ns);
    if (request->result)
        respond_failure(request);
}

void dispatch_refuse(struct exchange *x, int status, const char *detail)
{
    x->refused_status = status;
    x->refused_detail = detail;
    hold_release(x);
    if (x->batched)
        unbatch(x);
    else if (x->with_pool && !pool_withdraw(pool_of(&x->request), &x->request.task))
        return;
    else if (x->with_pool)
        take_back(x);
    send_refusal(x);
}

void dispatch_run(struct exchange *x)
{
    struct request *request = &x->request;
    const struct conf_route *route = request->route;

    if (!route->action->blocking) {
        run_here(x);
        reply_send(x);
    } else if (x->loop->refusing) {
        refuse(x, TASK_DRAINING);
    } else {
        enqueue(x);
    }
}
