#include "account.h"

#include "access_log.h"
#include "loop.h"

#include <errno.h>

void account_begin(struct exchange *x)
{
    const struct request *request = &x->request;
    struct snapshot *snapshot = request->snapshot;
    struct meter *meter =
        request->route ? snapshot->route_meters[request->route->index] : snapshot->no_route_meter;

    if (x->begun)
        return;
    x->begun = true;
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

void account_task_returned(struct exchange *x, int64_t now)
{
    const struct request *request = &x->request;
    const struct task *task = &request->task;
    const struct snapshot *snapshot = request->snapshot;
    /* Not x->part: a request that has timed out is over before its task. */
    struct route_part *route =
        meter_route_part(snapshot->route_meters[request->route->index], x->loop->index);
    struct pool_part *pool;
    struct exchange_times times;

    if (route)
        stats_add(&route->returned, 1);
    if (!task->started_ns)
        return;
    exchange_times(x, now, &times);
    pool = meter_pool_part(snapshot->pool_meters[request->route->pool_index], x->loop->index);
    if (pool)
        pool_part_add_task(pool, times.queue_ns, times.run_ns, now);
    if (route)
        route_part_add_task(route, times.queue_ns, times.run_ns, now);
}

void account_end(struct exchange *x, int64_t now)
{
    struct route_part *part = x->part;
    int status = x->answered ? x->request.response.status : STATUS_CLIENT_GONE;

    if (!x->begun)
        return;
    x->begun = false;
    access_log_end(x, status, now);
    x->part = NULL;
    if (!part)
        return;
    route_part_add(part, x->request.method, status, now - x->begun_ns, now);
    stats_add(&part->body_bytes, x->body_sent);
    stats_add(&part->ended, 1);
}
