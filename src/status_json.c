#include "status_json.h"

#include "clock.h"
#include "json_text.h"
#include "latency_json.h"
#include "line_writer.h"
#include "pool_json.h"

#include <string.h>

static json_t *reload_json(struct vitals *vitals)
{
    json_t *json;

    pthread_mutex_lock(&vitals->lock);
    json = json_pack("{s:I, s:I}", "succeeded", (json_int_t)vitals->reloads_ok, "failed",
                     (json_int_t)vitals->reloads_failed);
    if (json && vitals->last_reload_at) {
        const char *text = vitals->last_reload_text;

        json_object_set_new(json, "last",
                            json_pack("{s:I, s:b, s:o}", "at", (json_int_t)vitals->last_reload_at,
                                      "ok", vitals->last_reload_ok, "message",
                                      json_text(text, strlen(text))));
    }
    pthread_mutex_unlock(&vitals->lock);
    return json;
}

/* Connections by what they do, summed over the loops; `sum` collects all listeners. */
static json_t *connections_json(const struct meter *listener, json_int_t sum[CONN_STATE_COUNT])
{
    json_t *json = json_object();

    for (int state = 0; json && state < CONN_STATE_COUNT; state++) {
        json_int_t count = 0;

        for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
            const struct listener_part *part = meter_part(listener, i);

            if (part)
                count += atomic_load_explicit(&part->connections[state], memory_order_relaxed);
        }
        sum[state] += count;
        json_object_set_new(json, conn_state_names[state], json_integer(count));
    }
    return json;
}

static json_t *all_connections_json(const struct meters *meters)
{
    json_int_t sum[CONN_STATE_COUNT] = {0};
    const struct meter *listener;
    json_t *json = json_object();

    meter_for_each(listener, &meters->listeners) json_decref(connections_json(listener, sum));
    for (int state = 0; json && state < CONN_STATE_COUNT; state++)
        json_object_set_new(json, conn_state_names[state], json_integer(sum[state]));
    return json;
}

static json_t *listeners_json(const struct snapshot *snapshot)
{
    json_int_t unused[CONN_STATE_COUNT] = {0};
    json_t *list = json_array();

    for (size_t i = 0; list && i < snapshot->conf->n_listeners; i++) {
        const char *bound = snapshot->bound[i] ? snapshot->bound[i] : "";

        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o}", "name", snapshot->conf->listeners[i].name, "address",
                            json_text(bound, strlen(bound)), "connections",
                            connections_json(snapshot->listener_meters[i], unused)));
    }
    return list;
}

/* Of all listeners. */
static json_int_t loop_connections(const struct meters *meters, unsigned loop)
{
    const struct meter *listener;
    json_int_t count = 0;

    meter_for_each(listener, &meters->listeners)
    {
        const struct listener_part *part = meter_part(listener, loop);

        for (int state = 0; part && state < CONN_STATE_COUNT; state++)
            count += atomic_load_explicit(&part->connections[state], memory_order_relaxed);
    }
    return count;
}

static json_t *loops_json(const struct meters *meters)
{
    json_t *list = json_array();
    int64_t now = clock_now_ns();

    for (unsigned i = 0; list && i < METERS_MAX_LOOPS; i++) {
        const struct loop_part *part =
            atomic_load_explicit(&meters->loops[i], memory_order_acquire);
        struct latency_sums lag = {0};

        if (!part)
            continue;
        latency_sums_add(&lag, &part->lag_latency, now);
        json_array_append_new(list, json_pack("{s:i, s:I, s:o}", "loop", (int)i, "connections",
                                              loop_connections(meters, i), "lag_ms",
                                              latency_sums_json(&lag)));
    }
    return list;
}

static json_t *access_log_json(const struct vitals *vitals)
{
    struct line_writer_counts counts = {0};

    if (vitals->access_log)
        line_writer_get_counts(vitals->access_log, &counts);
    return json_pack("{s:I, s:I}", "written", (json_int_t)counts.written, "dropped",
                     (json_int_t)counts.dropped);
}

/* ---- routes ---------------------------------------------------------------------------------- */

enum { CLASSES = 6 };

static void add_series(const struct route_part *part, json_int_t classes[CLASSES])
{
    const struct route_series *series = atomic_load_explicit(&part->series, memory_order_acquire);

    for (; series; series = series->next) {
        int class = series->status / 100;

        for (unsigned i = 0; i <= stats_bounds_http.count; i++)
            classes[class < CLASSES ? class : 0] +=
                (json_int_t)stats_read(&series->duration.counts[i]);
    }
}

/* What is counted for a route's path.  Routes that share one share these numbers. */
static json_t *traffic_json(const struct meter *meter, bool blocking)
{
    static const char *const names[CLASSES] = {NULL, "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct latency_sums total = {0}, wait = {0}, run = {0};
    json_int_t classes[CLASSES] = {0};
    json_t *requests = json_object(), *json;
    int64_t now = clock_now_ns();

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct route_part *part = meter_part(meter, i);

        if (!part)
            continue;
        add_series(part, classes);
        latency_sums_add(&total, &part->duration, now);
        latency_sums_add(&wait, atomic_load_explicit(&part->wait, memory_order_acquire), now);
        latency_sums_add(&run, atomic_load_explicit(&part->run, memory_order_acquire), now);
    }
    for (int i = 1; i < CLASSES; i++)
        json_object_set_new(requests, names[i], json_integer(classes[i]));
    json = json_pack("{s:o, s:I, s:o}", "requests", requests, "in_flight",
                     (json_int_t)meter_in_flight(meter), "total_ms", latency_sums_json(&total));
    if (json && blocking) {
        json_object_set_new(json, "wait_ms", latency_sums_json(&wait));
        json_object_set_new(json, "run_ms", latency_sums_json(&run));
    }
    return json;
}

static void add_tasks(json_t *json, struct lane *lane)
{
    struct lane_stats stats;

    lane_get_stats(lane, &stats);
    json_object_set_new(json, "concurrency", json_integer(stats.settings.concurrency));
    json_object_set_new(json, "max_queue", json_integer(stats.settings.max_queue));
    json_object_set_new(json, "queued", json_integer(stats.books.queued));
    json_object_set_new(json, "running", json_integer(stats.books.running));
    json_object_set_new(json, "tasks", pool_json_books(&stats.books));
}

static json_t *routes_json(const struct snapshot *snapshot)
{
    const struct conf *conf = snapshot->conf;
    json_t *list = json_array();

    for (size_t i = 0; list && i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct strbuf methods = {0};
        json_t *json;

        http_method_print(http_method_answered(route->method_mask), &methods);
        json = json_pack("{s:o, s:o, s:s}", "path", json_text(route->path, strlen(route->path)),
                         "methods", json_text_of(&methods), "action", route->action->name);
        if (json && route->pool_index >= 0)
            json_object_set_new(json, "pool", json_string(conf->pools[route->pool_index].name));
        if (json && snapshot->lanes[i])
            add_tasks(json, snapshot->lanes[i]);
        json_object_update_new(json,
                               traffic_json(snapshot->route_meters[i], snapshot->lanes[i] != NULL));
        json_array_append_new(list, json);
        strbuf_free(&methods);
    }
    return list;
}

static json_t *pools_json(const struct snapshot *snapshot)
{
    json_t *pools = json_object();

    for (size_t i = 0; pools && i < snapshot->conf->n_pools; i++)
        json_object_set_new(pools, snapshot->conf->pools[i].name, pool_json(snapshot, i));
    return pools;
}

json_t *status_json(const struct snapshot *snapshot)
{
    struct vitals *vitals = snapshot->vitals;
    const char *path = snapshot->conf->path;
    json_t *json =
        json_pack("{s:s, s:I, s:f, s:b, s:I, s:{s:o, s:I, s:I}, s:o}", "version", HANDOFFD_VERSION,
                  "started_at", (json_int_t)vitals->started_at, "uptime_seconds",
                  (double)(clock_now_ns() - vitals->started_ns) / (double)NS_PER_SEC, "draining",
                  (int)atomic_load(&vitals->draining), "requests",
                  (json_int_t)meters_requests(&vitals->meters), "config", "file",
                  json_text(path, strlen(path)), "generation", (json_int_t)snapshot->generation,
                  "loaded_at", (json_int_t)snapshot->loaded_at, "reloads", reload_json(vitals));

    if (json)
        json_object_update_new(
            json,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "loops", loops_json(&vitals->meters),
                      "connections", all_connections_json(&vitals->meters), "listeners",
                      listeners_json(snapshot), "access_log", access_log_json(vitals), "pools",
                      pools_json(snapshot), "routes", routes_json(snapshot), "unmatched",
                      traffic_json(snapshot->no_route_meter, false)));
    return json;
}
