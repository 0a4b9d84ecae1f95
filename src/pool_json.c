#include "pool_json.h"

#include "clock.h"
#include "latency_json.h"

const char *const pool_json_fields[] = {"threads",   "active",      "busy",   "idle", "queued",
                                        "available", "queue_depth", "parked", NULL};

uint64_t pool_json_field(const struct pool_stats *stats, size_t i)
{
    const unsigned values[] = {stats->threads,     stats->active,       stats->busy,
                               stats->idle,        stats->books.queued, stats->available,
                               stats->queue_depth, stats->parked};

    return values[i];
}

static double mean_ms(uint64_t sum_ns, uint64_t count)
{
    return count ? (double)sum_ns / (double)count / (double)NS_PER_MS : 0;
}

static double ms(int64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

json_t *pool_json_books(const struct pool_books *books)
{
    static const struct {
        enum task_end end;
        const char *name;
    } reasons[] = {{TASK_QUEUE_FULL, "queue_full"},
                   {TASK_QUEUE_TIMEOUT, "queue_timeout"},
                   {TASK_ROUTE_FULL, "route_full"},
                   {TASK_CLIENT_GONE, "client_gone"},
                   {TASK_DRAINING, "draining"}};
    const uint64_t *results = books->results;
    json_t *rejected = json_object();
    json_int_t sum = 0;

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        json_int_t count = (json_int_t)books->refused[reasons[i].end];

        json_object_set_new(rejected, reasons[i].name, json_integer(count));
        sum += count;
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I}, s:I, s:o, s:f, s:f, s:f}", "submitted",
        (json_int_t)books->submitted, "queued", (json_int_t)books->queued, "running",
        (json_int_t)books->running, "ran", (json_int_t)books->ran, "ran_by_result", "ok",
        (json_int_t)results[TASK_RESULT_OK], "error", (json_int_t)results[TASK_RESULT_ERROR],
        "timeout", (json_int_t)results[TASK_RESULT_TIMEOUT], "cancelled",
        (json_int_t)results[TASK_RESULT_CANCELLED], "rejected", sum, "rejected_by_reason", rejected,
        "mean_wait_ms", mean_ms(books->wait_ns, books->ran), "mean_run_ms",
        mean_ms(books->run_ns, books->ran), "recent_run_ms", ms(books->recent_run_ns));
}

/* How long tasks waited and ran, and how many have been worked off. */
static json_t *latencies(const struct snapshot *snapshot, const struct meter *meter)
{
    struct latency_sums wait = {0}, run = {0};
    int64_t now = clock_now_ns();

    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct pool_part *part = meter_part(meter, i);

        latency_sums_add(&wait, part ? &part->wait_latency : NULL, now);
        latency_sums_add(&run, part ? &part->run_latency : NULL, now);
    }
    return json_pack("{s:o, s:o, s:f}", "wait_ms", latency_sums_json(&wait), "run_ms",
                     latency_sums_json(&run), "drain_rate",
                     latency_sums_rate(&run, snapshot->vitals->started_ns, now));
}

json_t *pool_json(const struct snapshot *snapshot, size_t i)
{
    struct pool *pool = snapshot->pools[i];
    struct pool_stats stats;
    json_t *json;

    pool_get_stats(pool, &stats);
    json = json_pack("{s:s}", "name", pool_name(pool));
    for (size_t k = 0; json && pool_json_fields[k]; k++)
        json_object_set_new(json, pool_json_fields[k],
                            json_integer((json_int_t)pool_json_field(&stats, k)));
    if (!json)
        return NULL;
    json_object_update_new(json, json_pack("{s:I, s:f, s:f}", "highest_busy",
                                           (json_int_t)stats.highest_busy, "oldest_wait_ms",
                                           ms(stats.oldest_wait_ns), "expected_wait_ms",
                                           ms(stats.expected_wait_ns)));
    json_object_update_new(json, pool_json_books(&stats.books));
    json_object_set_new(json, "cpu_seconds",
                        json_real((double)pool_cpu_ns(pool) / (double)NS_PER_SEC));
    json_object_update_new(json, latencies(snapshot, snapshot->pool_meters[i]));
    return json;
}
