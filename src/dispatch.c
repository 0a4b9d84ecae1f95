/* DESIGN
 *
 * Loop actions run right here.  Blocking ones become tasks; those of one turn of the loop gather in
 * the loop's batches and are submitted together when the turn ends, so that a pool's lock is taken
 * once and one worker at most is woken, however many requests a turn has brought.
 *
 * A task whose wait or run is limited has a timer of the loop, which asks the pool whether the time is
 * over.  A task that runs for too long cannot be stopped from outside: its client gets the answer at
 * once, by an exchange of its own, while the task is cancelled, keeps its thread until it ends, and
 * comes back to an exchange that has no client any more. */
#include "dispatch.h"

#include "account.h"
#include "action.h"
#include "admit.h"
#include "answer_stream.h"
#include "clock.h"
#include "conn.h"
#include "intake.h"
#include "log.h"
#include "loop.h"
#include "probes.h"
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
    PROBE4(start, request->id, route->path, pool_name(pool_of(request)),
           task->started_ns - task->submitted_ns);
    if (admit_is_for_worker(request))
        admit_request(request);
    if (!request->response.status)
        request->result = action_of(route->action)->run(request, route->settings);
    if (request->result)
        task->result = request->result == -ECANCELED ? TASK_RESULT_CANCELLED : TASK_RESULT_ERROR;
    PROBE4(end, request->id, route->path, pool_name(pool_of(request)), request->result);
    request_hand_over(request, REQUEST_OF_POOL, REQUEST_OF_LOOP);
}

static void respond_failure(struct request *request)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    const struct log_subject subject = request_log_subject(request);

    log_limited_about(&limit, &subject, LOG_LEVEL_ERROR,
                      "request %s: route %s: action %s failed: %s", request->id,
                      request->route->path, request->route->action->name,
                      strerror(-request->result));
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

/* Seconds until a place is likely to be free, by what waits and how fast it has been worked off of
 * late; up to half as much again at random, so that those who were refused together do not come back
 * together. */
static unsigned retry_after(struct exchange *x)
{
    struct lane_stats stats;
    double seconds;

    lane_get_stats(x->request.task.lane, &stats);
    seconds = (double)stats.expected_wait_ns / (double)NS_PER_SEC;
    seconds *= 1 + (double)loop_random(x->loop) / (double)UINT32_MAX / 2;
    if (seconds >= RETRY_AFTER_MAX)
        return RETRY_AFTER_MAX;
    return seconds <= RETRY_AFTER_MIN ? RETRY_AFTER_MIN : (unsigned)(seconds + 0.999);
}

static void add_retry_after(struct exchange *x)
{
    char *seconds = arena_alloc(&x->request.arena, 16);

    if (!seconds)
        return;
    snprintf(seconds, 16, "%u", retry_after(x));
    response_add_header(&x->request, "Retry-After", seconds);
}

static void describe_refusal(struct request *request, enum task_end reason)
{
    const char *pool = pool_name(pool_of(request));

    switch (reason) {
    case TASK_QUEUE_FULL:
        problem_respond(request, 503, "queue_full",
                        "every thread of the pool \"%s\" is busy and its queue is full", pool);
        break;
    case TASK_QUEUE_TIMEOUT:
        problem_respond(request, 503, "queue_timeout",
                        "no thread of the pool \"%s\" is free within the time that the request "
                        "may wait",
                        pool);
        break;
    case TASK_ROUTE_FULL:
        problem_respond(request, 503, "route_full",
                        "as many requests of this route run and wait as may do so");
        break;
    default:
        problem_respond(request, 503, "draining", "the daemon is stopping");
        break;
    }
}

static void log_refusal(const struct request *request, enum task_end reason)
{
    static const char *const reasons[TASK_END_COUNT] = {
        [TASK_QUEUE_FULL] = "queue full",
        [TASK_QUEUE_TIMEOUT] = "waited too long",
        [TASK_ROUTE_FULL] = "route full",
    };
    static struct log_limit limits[TASK_END_COUNT] = {
        [TASK_QUEUE_FULL] = {.interval_ns = NS_PER_SEC},
        [TASK_QUEUE_TIMEOUT] = {.interval_ns = NS_PER_SEC},
        [TASK_ROUTE_FULL] = {.interval_ns = NS_PER_SEC},
    };
    const struct log_subject subject = request_log_subject(request);

    if (reasons[reason])
        log_limited_about(&limits[reason], &subject, LOG_LEVEL_WARNING,
                          "pool %s: %s, request %s for route %s refused",
                          pool_name(pool_of(request)), reasons[reason], request->id,
                          request->route->path);
}

/* The task did not run, for this reason, and is ours again. */
static void refuse(struct exchange *x, enum task_end reason)
{
    if (!x->conn) {
        exchange_end(x);
        return;
    }
    describe_refusal(&x->request, reason);
    PROBE4(reject, x->request.id, x->request.route->path, pool_name(pool_of(&x->request)),
           x->request.response.reason);
    log_refusal(&x->request, reason);
    add_retry_after(x);
    reply_send(x);
}

static void take_back(struct exchange *x)
{
    loop_timer_stop(x->loop, &x->timer);
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
    if (request->redirect && !request->result)
        intake_redirect(x);
    else
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

/* ---- deadlines ------------------------------------------------------------------------------- */

static void on_deadline(struct loop_timer *timer);

/* Without memory for the timer the limit is lost, not the request. */
static void look_at(struct exchange *x, int64_t at_ns)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};

    if (at_ns != INT64_MAX && loop_timer_set(x->loop, &x->timer, at_ns, on_deadline))
        log_limited(&limit, LOG_LEVEL_ERROR, "request %s: no memory for its timeout",
                    x->request.id);
}

/* The task runs for too long: its client is answered, the task goes on without one. */
static void end_for_timeout(struct exchange *x)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    const struct request *request = &x->request;
    struct exchange *answer;

    log_limited(&limit, LOG_LEVEL_WARNING,
                "request %s: route %s: timed out; its thread of pool %s is busy until it ends",
                request->id, request->route->path, pool_name(pool_of(request)));
    if (x->conn->phase == CONN_STREAMING) {
        conn_break_off(x->conn);
        return;
    }
    answer = conn_detach_task(x);
    if (!answer)
        return;
    problem_respond(&answer->request, 504, "timeout", "the action has run for longer than it may");
    reply_send(answer);
}

static void on_deadline(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);
    struct task *task = &x->request.task;
    int64_t again;

    switch (pool_look(pool_of(&x->request), task, clock_now_ns(), &again)) {
    case POOL_GOES_ON:
        look_at(x, again);
        break;
    case POOL_WAITED:
        take_back(x);
        refuse(x, TASK_QUEUE_TIMEOUT);
        break;
    case POOL_TIMED_OUT:
        end_for_timeout(x);
        break;
    }
}

static int64_t least_set(int64_t a, int64_t b)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? a : b;
}

/* What limits the task, and the timer that sees to it. */
static void set_limits(struct exchange *x)
{
    const struct request *request = &x->request;
    const struct conf *conf = request->snapshot->conf;
    const struct conf_route *route = request->route;
    const struct conf_pool *pool = &conf->pools[route->pool_index];
    struct task *task = &x->request.task;
    int64_t first;

    task->queue_budget_ns = x->queue_budget_ns;
    task->queue_timeout_ns = least_set(route->queue_timeout, x->queue_budget_ns);
    task->run_timeout_ns = route->timeout;
    first = least_set(task->queue_timeout_ns, task->run_timeout_ns);
    if (pool->discipline == CONF_CODEL_LIFO)
        first = least_set(first, pool->codel_target);
    if (first)
        look_at(x, clock_now_ns() + first);
}

/* ---- batches --------------------------------------------------------------------------------- */

/* The exchange's task leaves its batch for the pool. */
static void release(struct exchange *x)
{
    x->batched = false;
    set_limits(x);
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
        release(exchange_of(container_of(task, struct request, task)));
    r = pool_submit(pool, &tasks, &refused);
    if (r)
        log_limited_about(&limit, &(const struct log_subject){.pool = pool_name(pool)},
                          LOG_LEVEL_ERROR,
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
    task->lane = request->snapshot->lanes[request->route->index];
    while (i < loop->n_batches && loop->batches[i].pool != pool)
        i++;
    if (i == LOOP_MAX_BATCHES) {
        dispatch_flush(loop);
        i = 0;
    }
    if (i == loop->n_batches)
        loop->batches[loop->n_batches++] = (struct loop_batch){.pool = pool};
    task_list_add(&loop->batches[i].tasks, task);
    PROBE3(submit, request->id, request->route->path, pool_name(pool));
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

/* Its task has been withdrawn. */
static void leave_queue(struct exchange *x)
{
    take_back(x);
    PROBE4(reject, x->request.id, x->request.route->path, pool_name(pool_of(&x->request)),
           "client_gone");
}

void dispatch_abandon(struct exchange *x)
{
    list_remove(&x->link);
    loop_timer_stop(x->loop, &x->timer);
    if (x->batched)
        unbatch(x);
    else if (x->with_pool && !pool_withdraw(pool_of(&x->request), &x->request.task))
        return; /* it runs, or its mail is under way */
    else if (x->with_pool)
        leave_queue(x);
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
    loop_timer_stop(x->loop, &x->timer);
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
        request->task.lane = request->snapshot->lanes[route->index];
        refuse(x, TASK_DRAINING);
    } else {
        enqueue(x);
    }
}
