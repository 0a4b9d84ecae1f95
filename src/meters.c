#include "meters.h"

#include <stdlib.h>
#include <string.h>

const char *const conn_state_names[CONN_STATE_COUNT] = {"idle", "reading", "answering", "writing",
                                                        "closing"};

/* ---- making ---------------------------------------------------------------------------------- */

static void free_route_part(void *memory)
{
    struct route_part *part = memory;
    struct route_series *series = part ? atomic_load(&part->series) : NULL, *next;

    for (; series; series = next) {
        next = series->next;
        free(series);
    }
    if (part) {
        free(atomic_load(&part->wait));
        free(atomic_load(&part->run));
    }
    free(part);
}

static void free_past(struct pool_past *past)
{
    if (past)
        pthread_mutex_destroy(&past->lock);
    free(past);
}

static void free_list(struct meter_list *list, void (*free_part)(void *part))
{
    struct meter *meter = atomic_load(&list->first), *next;

    for (; meter; meter = next) {
        next = meter_next(meter);
        for (unsigned i = 0; i < METERS_MAX_LOOPS; i++)
            free_part(atomic_load(&meter->parts[i]));
        free_past(atomic_load(&meter->past));
        free(meter->name);
        free(meter);
    }
}

void meters_destroy(struct meters *meters)
{
    free_list(&meters->routes, free_route_part);
    free_list(&meters->pools, free);
    free_list(&meters->listeners, free);
    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++)
        free(atomic_load(&meters->loops[i]));
}

struct meter *meter_find(const struct meter_list *list, const char *name)
{
    struct meter *meter;

    meter_for_each(meter, list) if (!strcmp(meter->name, name)) return meter;
    return NULL;
}

struct meter *meter_get(struct meter_list *list, const char *name)
{
    struct meter *meter = meter_find(list, name);

    if (meter)
        return meter;
    meter = calloc(1, sizeof *meter);
    if (!meter || !(meter->name = strdup(name))) {
        free(meter);
        return NULL;
    }
    if (list->last)
        atomic_store_explicit(&list->last->next, meter, memory_order_release);
    else
        atomic_store_explicit(&list->first, meter, memory_order_release);
    list->last = meter;
    return meter;
}

/* ---- counting -------------------------------------------------------------------------------- */

/* What stands in `place`, or `size` zeroed bytes that are put there for readers to find. */
static void *get_part(_Atomic(void *) *place, size_t size)
{
    void *part = atomic_load_explicit(place, memory_order_relaxed);

    if (!part) {
        part = calloc(1, size);
        atomic_store_explicit(place, part, memory_order_release);
    }
    return part;
}

struct route_part *meter_route_part(struct meter *meter, unsigned loop)
{
    return get_part(&meter->parts[loop], sizeof(struct route_part));
}

struct pool_part *meter_pool_part(struct meter *meter, unsigned loop)
{
    return get_part(&meter->parts[loop], sizeof(struct pool_part));
}

struct listener_part *meter_listener_part(struct meter *meter, unsigned loop)
{
    return get_part(&meter->parts[loop], sizeof(struct listener_part));
}

struct loop_part *meters_loop_part(struct meters *meters, unsigned loop)
{
    struct loop_part *part = atomic_load_explicit(&meters->loops[loop], memory_order_relaxed);

    if (!part) {
        part = calloc(1, sizeof *part);
        atomic_store_explicit(&meters->loops[loop], part, memory_order_release);
    }
    return part;
}

static struct route_series *get_series(struct route_part *part, enum http_method method, int status)
{
    struct route_series *first = atomic_load_explicit(&part->series, memory_order_relaxed);
    struct route_series *series = first;

    while (series && (series->status != status || series->method != method))
        series = series->next;
    if (series)
        return series;
    series = calloc(1, sizeof *series);
    if (!series)
        return NULL;
    series->next = first;
    series->method = method;
    series->status = status;
    atomic_store_explicit(&part->series, series, memory_order_release);
    return series;
}

void route_part_add(struct route_part *part, enum http_method method, int status, int64_t ns,
                    int64_t now_ns)
{
    struct route_series *series = get_series(part, method, status);

    if (series)
        stats_buckets_add(&series->duration, &stats_bounds_http, ns);
    stats_latency_add(&part->duration, ns, now_ns);
}

static void add_latency(_Atomic(struct stats_latency *) *place, int64_t ns, int64_t now_ns)
{
    struct stats_latency *latency = atomic_load_explicit(place, memory_order_relaxed);

    if (!latency) {
        latency = calloc(1, sizeof *latency);
        atomic_store_explicit(place, latency, memory_order_release);
    }
    if (latency)
        stats_latency_add(latency, ns, now_ns);
}

void route_part_add_task(struct route_part *part, int64_t wait_ns, int64_t run_ns, int64_t now_ns)
{
    add_latency(&part->wait, wait_ns, now_ns);
    add_latency(&part->run, run_ns, now_ns);
}

void pool_part_add_task(struct pool_part *part, int64_t wait_ns, int64_t run_ns, int64_t now_ns)
{
    stats_buckets_add(&part->wait, &stats_bounds_fine, wait_ns);
    stats_buckets_add(&part->run, &stats_bounds_fine, run_ns);
    stats_latency_add(&part->wait_latency, wait_ns, now_ns);
    stats_latency_add(&part->run_latency, run_ns, now_ns);
}

static struct pool_past *past_of(struct meter *meter)
{
    struct pool_past *past = atomic_load_explicit(&meter->past, memory_order_relaxed);

    if (past)
        return past;
    past = calloc(1, sizeof *past);
    if (!past)
        return NULL;
    pthread_mutex_init(&past->lock, NULL);
    atomic_store_explicit(&meter->past, past, memory_order_release);
    return past;
}

/* Adds `more` and takes `less` away. */
static void change_numbers(struct pool_numbers *sum, const struct pool_numbers *more,
                           const struct pool_numbers *less)
{
    for (int i = 0; i < TASK_RESULT_COUNT; i++)
        sum->results[i] += more->results[i] - less->results[i];
    for (int i = 0; i < TASK_END_COUNT; i++)
        sum->refused[i] += more->refused[i] - less->refused[i];
    sum->queued += more->queued - less->queued;
    sum->running += more->running - less->running;
    sum->cpu_ns += more->cpu_ns - less->cpu_ns;
}

void meter_add_past(struct meter *meter, struct pool *pool, struct pool_numbers *before)
{
    struct pool_past *past = past_of(meter);
    struct pool_numbers now = {.cpu_ns = (uint64_t)pool_cpu_ns(pool)};
    struct pool_stats stats;

    if (!past)
        return;
    pool_get_stats(pool, &stats);
    memcpy(now.results, stats.books.results, sizeof now.results);
    memcpy(now.refused, stats.books.refused, sizeof now.refused);
    now.queued = stats.books.queued;
    now.running = stats.books.running;
    pthread_mutex_lock(&past->lock);
    change_numbers(&past->numbers, &now, before);
    pthread_mutex_unlock(&past->lock);
    *before = now;
}

/* ---- looking --------------------------------------------------------------------------------- */

void meter_sum_past(const struct meter *pool, struct pool_numbers *sum)
{
    static const struct pool_numbers nothing;
    struct pool_past *past = atomic_load_explicit(&pool->past, memory_order_acquire);

    if (!past)
        return;
    pthread_mutex_lock(&past->lock);
    change_numbers(sum, &past->numbers, &nothing);
    pthread_mutex_unlock(&past->lock);
}

static uint64_t count_series(const struct route_part *part)
{
    const struct route_series *series = atomic_load_explicit(&part->series, memory_order_acquire);
    uint64_t count = 0;

    for (; series; series = series->next)
        for (unsigned i = 0; i <= stats_bounds_http.count; i++)
            count += stats_read(&series->duration.counts[i]);
    return count;
}

uint64_t meters_requests(const struct meters *meters)
{
    const struct meter *meter;
    uint64_t count = 0;

    meter_for_each(meter, &meters->routes) for (unsigned i = 0; i < METERS_MAX_LOOPS; i++)
    {
        const struct route_part *part = meter_part(meter, i);

        if (part)
            count += count_series(part);
    }
    return count;
}

/* Reading what ends before what begins never shows a negative number. */
static uint64_t difference(const stats_counter *begun, const stats_counter *ended)
{
    uint64_t less = atomic_load_explicit(ended, memory_order_acquire);
    uint64_t more = atomic_load_explicit(begun, memory_order_acquire);

    return more > less ? more - less : 0;
}

uint64_t meter_in_flight(const struct meter *route)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct route_part *part = meter_part(route, i);

        if (part)
            count += difference(&part->begun, &part->ended);
    }
    return count;
}

uint64_t meter_with_pool(const struct meter *route)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct route_part *part = meter_part(route, i);

        if (part)
            count += difference(&part->submitted, &part->returned);
    }
    return count;
}
