#include "status_json.h"

#include "clock.h"
#include "json_text.h"
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

static json_t *listeners_json(const struct snapshot *snapshot)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < snapshot->conf->n_listeners; i++) {
        const char *bound = snapshot->bound[i] ? snapshot->bound[i] : "";

        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "name", snapshot->conf->listeners[i].name,
                                        "address", json_text(bound, strlen(bound))));
    }
    return list;
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
        json = json_pack("{s:o, s:s, s:s}", "path", json_text(route->path, strlen(route->path)),
                         "methods", strbuf_cstr(&methods), "action", route->action->name);
        if (json && route->pool_index >= 0)
            json_object_set_new(json, "pool", json_string(conf->pools[route->pool_index].name));
        if (json && snapshot->lanes[i]) {
            struct lane_stats stats;

            lane_get_stats(snapshot->lanes[i], &stats);
            json_object_set_new(json, "concurrency", json_integer(stats.settings.concurrency));
            json_object_set_new(json, "max_queue", json_integer(stats.settings.max_queue));
            json_object_set_new(json, "tasks", pool_json_books(&stats.books));
        }
        json_array_append_new(list, json);
        strbuf_free(&methods);
    }
    return list;
}

static json_t *pools_json(const struct snapshot *snapshot)
{
    json_t *pools = json_object();

    for (size_t i = 0; pools && i < snapshot->conf->n_pools; i++)
        json_object_set_new(pools, snapshot->conf->pools[i].name, pool_json(snapshot->pools[i]));
    return pools;
}

json_t *status_json(const struct snapshot *snapshot)
{
    struct vitals *vitals = snapshot->vitals;
    const char *path = snapshot->conf->path;

    return json_pack(
        "{s:s, s:I, s:f, s:b, s:I, s:{s:o, s:I, s:I}, s:o, s:o, s:o, s:o}", "version",
        HANDOFFD_VERSION, "started_at", (json_int_t)vitals->started_at, "uptime_seconds",
        (double)(clock_now_ns() - vitals->started_ns) / (double)NS_PER_SEC, "draining",
        (int)atomic_load(&vitals->draining), "requests",
        (json_int_t)meters_requests(&vitals->meters), "config", "file",
        json_text(path, strlen(path)), "generation", (json_int_t)snapshot->generation, "loaded_at",
        (json_int_t)snapshot->loaded_at, "reloads", reload_json(vitals), "listeners",
        listeners_json(snapshot), "pools", pools_json(snapshot), "routes", routes_json(snapshot));
}
