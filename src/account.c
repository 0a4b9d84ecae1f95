#include "account.h"

#include "loop.h"

#include <errno.h>

void account_begin(struct exchange *x)
{
    const struct request *request = &x->request;
    struct snapshot *snapshot = request->snapshot;
    struct meter *meter =
        request->route ? snapshot->route_meters[request->route->index] : snapshot->no_route_meter;

    if (x->part)
        return;
    /* Without memory the request is served all the same. */
    x->part = meter_route_part(meter, x->loop->index);
    if (x->part)
        stats_add(&x->part->begun, 1);
}

void account_task_submitted(struct exchange *x)
{
    if (x->part)
        stats_add(&x->part->submitted, 1);
}

static enum pool_result result_of(const struct request *request)
{
    if (!request->result)
        return POOL_RESULT_OK;
    return request->result == -ECANCELED ? POOL_RESULT_CANCELLED : POOL_RESULT_ERROR;
}

void account_task_returned(struct exchange *x, int64_t now)
{
    const struct request *request = &x->request;
    const struct task *task = &request->task;
    struct meter *meter = request->snapshot->pool_meters[request->route->pool_index];
    struct pool_part *pool;
    struct exchange_times times;

    if (x->part)
        stats_add(&x->part->returned, 1);
    if (!task->started_ns)
        return;
    exchange_times(x, now, &times);
    pool = meter_pool_part(meter, x->loop->index);
    if (pool) {
        stats_add(&pool->results[result_of(request)], 1);
        pool_part_add_task(pool, times.queue_ns, times.run_ns, now);
    }
    if (x->part)
        route_part_add_task(x->part, times.queue_ns, times.run_ns, now);
}

void account_end(struct exchange *x, int64_t now)
{
    struct route_part *part = x->part;
    int status = x->answered ? x->request.response.status : STATUS_CLIENT_GONE;

    x->part = NULL;
    if (!part)
        return;
    route_part_add(part, x->request.method, status, now - x->begun_ns, now);
    stats_add(&part->body_bytes, x->body_sent);
    stats_add(&part->ended, 1);
}
