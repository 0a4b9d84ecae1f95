/* DESIGN
 *
 * Nothing is collected between two scrapes: each loop counts in its own parts of the meters, and a
 * scrape sums them.  Every sample of a metric stands behind its head, so the document is written metric
 * by metric and not route by route.
 *
 * Labels are names from the configuration, never what a client has sent. */
#include "metrics.h"

#include "clock.h"
#include "line_writer.h"
#include "metrics_text.h"
#include "process_stats.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_SYSTEMD
#define SYSTEMD "yes"
#else
#define SYSTEMD "no"
#endif

/* ---- the daemon ------------------------------------------------------------------------------ */

static void write_gauge(struct strbuf *out, const char *name, const char *help, uint64_t value)
{
    metrics_family(out, name, "gauge", help);
    metrics_count(out, name, "", value);
}

static void write_build_info(struct strbuf *out)
{
    struct strbuf labels = {0};

    metrics_label(&labels, "version", HANDOFFD_VERSION);
    metrics_label(&labels, "libevent", event_get_version());
    metrics_label(&labels, "libconfig", conf_parser_version());
    metrics_label(&labels, "jansson", JANSSON_VERSION);
    metrics_label(&labels, "systemd", SYSTEMD);
    metrics_family(out, "handoffd_build_info", "gauge", "What this was built from; always 1.");
    metrics_count(out, "handoffd_build_info", strbuf_cstr(&labels), 1);
    strbuf_free(&labels);
}

static void write_config(const struct snapshot *snapshot, struct strbuf *out)
{
    struct vitals *vitals = snapshot->vitals;
    uint64_t ok, failed;
    bool last_ok;

    pthread_mutex_lock(&vitals->lock);
    ok = vitals->reloads_ok;
    failed = vitals->reloads_failed;
    last_ok = !vitals->last_reload_at || vitals->last_reload_ok;
    pthread_mutex_unlock(&vitals->lock);
    write_gauge(out, "handoffd_config_last_reload_successful",
                "Whether the configuration that was read last is in force.", last_ok);
    write_gauge(out, "handoffd_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read.", (uint64_t)snapshot->loaded_at);
    metrics_family(out, "handoffd_config_reloads_total", "counter",
                   "Reloads since the start, by their result.");
    metrics_count(out, "handoffd_config_reloads_total", "result=\"success\"", ok);
    metrics_count(out, "handoffd_config_reloads_total", "result=\"failure\"", failed);
    write_gauge(out, "handoffd_draining", "Whether the daemon finishes its last requests.",
                atomic_load(&vitals->draining));
}

static void write_process(struct strbuf *out)
{
    struct process_stats p;

    if (process_stats_read(&p))
        return;
    metrics_family(out, "process_cpu_seconds_total", "counter", "CPU time used, user and system.");
    metrics_number(out, "process_cpu_seconds_total", "", p.cpu_seconds);
    write_gauge(out, "process_open_fds", "File descriptors in use.", p.open_fds);
    if (p.max_fds != UINT64_MAX)
        write_gauge(out, "process_max_fds", "File descriptors that may be in use.", p.max_fds);
    write_gauge(out, "process_virtual_memory_bytes", "Size of the address space.", p.virtual_bytes);
    write_gauge(out, "process_resident_memory_bytes", "Memory in use.", p.resident_bytes);
    write_gauge(out, "process_threads", "Threads of the process.", p.threads);
    metrics_family(out, "process_start_time_seconds", "gauge",
                   "When the process was started, since 1970.");
    metrics_number(out, "process_start_time_seconds", "", p.start_time);
}

/* ---- routes ---------------------------------------------------------------------------------- */

#define HTTP_DURATION "http_server_request_duration_seconds"

static const char *method_label(enum http_method method)
{
    return method < METHOD_COUNT ? http_method_names[method] : "_OTHER";
}

/* One method and status of a route, summed over the loops. */
struct series {
    enum http_method method;
    int status;
    struct stats_buckets_sum sum;
};

struct series_list {
    struct series *items;
    size_t count, room;
    bool failed;
};

static struct series *find_series(struct series_list *list, const struct route_series *wanted)
{
    struct series *items;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].status == wanted->status && list->items[i].method == wanted->method)
            return &list->items[i];
    if (list->count == list->room) {
        items = reallocarray(list->items, list->room + 16, sizeof *items);
        list->failed |= !items;
        if (!items)
            return NULL;
        list->items = items;
        list->room += 16;
    }
    items = &list->items[list->count++];
    *items = (struct series){.method = wanted->method, .status = wanted->status};
    return items;
}

static void sum_route(const struct meter *route, struct series_list *list)
{
    list->count = 0;
    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct route_part *part = meter_part(route, i);
        const struct route_series *from =
            part ? atomic_load_explicit(&part->series, memory_order_acquire) : NULL;

        for (; from; from = from->next) {
            struct series *to = find_series(list, from);

            if (to)
                stats_buckets_sum(&from->duration, &to->sum);
        }
    }
}

static void write_route_durations(const struct meter *route, struct series_list *list,
                                  struct strbuf *out)
{
    struct strbuf labels = {0};

    sum_route(route, list);
    for (size_t i = 0; i < list->count; i++) {
        char status[12];

        snprintf(status, sizeof status, "%d", list->items[i].status);
        labels.len = 0;
        metrics_label(&labels, "http_request_method", method_label(list->items[i].method));
        metrics_label(&labels, "http_route", route->name);
        metrics_label(&labels, "http_response_status_code", status);
        metrics_histogram(out, HTTP_DURATION, strbuf_cstr(&labels), &stats_bounds_http,
                          &list->items[i].sum);
    }
    strbuf_free(&labels);
}

static uint64_t body_bytes(const struct meter *route)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct route_part *part = meter_part(route, i);

        bytes += part ? stats_read(&part->body_bytes) : 0;
    }
    return bytes;
}

static void write_for_routes(const struct meter_list *routes, const char *name,
                             uint64_t (*value)(const struct meter *route), struct strbuf *out)
{
    const struct meter *route;
    struct strbuf labels = {0};

    meter_for_each(route, routes)
    {
        labels.len = 0;
        metrics_label(&labels, "http_route", route->name);
        metrics_count(out, name, strbuf_cstr(&labels), value(route));
    }
    strbuf_free(&labels);
}

static void write_routes(const struct meters *meters, struct strbuf *out)
{
    struct series_list list = {0};
    const struct meter *route;

    metrics_family(out, HTTP_DURATION, "histogram",
                   "How long requests took, from their complete head to their answer.");
    meter_for_each(route, &meters->routes) write_route_durations(route, &list, out);
    out->failed |= list.failed;
    free(list.items);
    metrics_family(out, "http_server_active_requests", "gauge",
                   "Requests whose head is complete and that have not been answered.");
    write_for_routes(&meters->routes, "http_server_active_requests", meter_in_flight, out);
    metrics_family(out, "handoffd_response_body_bytes_total", "counter",
                   "Bytes of the bodies of answers.");
    write_for_routes(&meters->routes, "handoffd_response_body_bytes_total", body_bytes, out);
}

/* ---- connections and loops ------------------------------------------------------------------- */

static uint64_t connections(const struct meter *listener, int state)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct listener_part *part = meter_part(listener, i);

        if (part)
            count += atomic_load_explicit(&part->connections[state], memory_order_relaxed);
    }
    return count;
}

static uint64_t accepted(const struct meter *listener)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct listener_part *part = meter_part(listener, i);

        count += part ? stats_read(&part->accepted) : 0;
    }
    return count;
}

static void write_connections(const struct meters *meters, struct strbuf *out)
{
    const struct meter *listener;
    struct strbuf labels = {0};

    metrics_family(out, "handoffd_connections", "gauge", "Connections, by what they are doing.");
    meter_for_each(listener, &meters->listeners) for (int state = 0; state < CONN_STATE_COUNT;
                                                      state++)
    {
        labels.len = 0;
        metrics_label(&labels, "listener", listener->name);
        metrics_label(&labels, "state", conn_state_names[state]);
        metrics_count(out, "handoffd_connections", strbuf_cstr(&labels),
                      connections(listener, state));
    }
    metrics_family(out, "handoffd_connections_accepted_total", "counter",
                   "Connections that have been accepted.");
    meter_for_each(listener, &meters->listeners)
    {
        labels.len = 0;
        metrics_label(&labels, "listener", listener->name);
        metrics_count(out, "handoffd_connections_accepted_total", strbuf_cstr(&labels),
                      accepted(listener));
    }
    strbuf_free(&labels);
}

static void write_access_log(const struct vitals *vitals, struct strbuf *out)
{
    struct line_writer_counts counts = {0};

    if (vitals->access_log)
        line_writer_get_counts(vitals->access_log, &counts);
    metrics_family(out, "handoffd_access_log_lines_total", "counter",
                   "Lines of the access log, by what became of them.");
    metrics_count(out, "handoffd_access_log_lines_total", "result=\"written\"", counts.written);
    metrics_count(out, "handoffd_access_log_lines_total", "result=\"dropped\"", counts.dropped);
}

static void write_loops(const struct meters *meters, struct strbuf *out)
{
    metrics_family(out, "handoffd_loop_lag_seconds", "histogram",
                   "How late an event loop came to a timer.");
    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct loop_part *part =
            atomic_load_explicit(&meters->loops[i], memory_order_acquire);
        struct stats_buckets_sum sum = {0};
        char labels[24];

        if (!part)
            continue;
        stats_buckets_sum(&part->lag, &sum);
        snprintf(labels, sizeof labels, "loop=\"%u\"", i);
        metrics_histogram(out, "handoffd_loop_lag_seconds", labels, &stats_bounds_fine, &sum);
    }
}

void metrics_write(const struct snapshot *snapshot, struct strbuf *out)
{
    const struct meters *meters = &snapshot->vitals->meters;

    write_build_info(out);
    write_config(snapshot, out);
    metrics_write_pools(snapshot, out);
    write_routes(meters, out);
    write_connections(meters, out);
    write_loops(meters, out);
    write_access_log(snapshot->vitals, out);
    write_process(out);
}
