#include "pool_json.h"

#include "clock.h"

const char *const pool_json_fields[] = {"threads", "active",    "busy",        "idle",
                                        "queued",  "available", "queue_depth", NULL};

uint64_t pool_json_field(const struct pool_stats *stats, size_t i)
{
    const unsigned values[] = {stats->threads, stats->active,    stats->busy,       stats->idle,
                               stats->queued,  stats->available, stats->queue_depth};

    return values[i];
}

static double mean_ms(uint64_t sum_ns, uint64_t count)
{
    return count ? (double)sum_ns / (double)count / (double)NS_PER_MS : 0;
}

json_t *pool_json(struct pool *pool)
{
    struct pool_stats stats;
    json_t *json;

    pool_get_stats(pool, &stats);
    json = json_pack("{s:s}", "name", pool_name(pool));
    for (size_t i = 0; json && pool_json_fields[i]; i++)
        json_object_set_new(json, pool_json_fields[i],
                            json_integer((json_int_t)pool_json_field(&stats, i)));
    if (!json)
        return NULL;
    json_object_update_new(
        json,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:f, s:f, s:f}", "highest_busy",
                  (json_int_t)stats.highest_busy, "submitted", (json_int_t)stats.submitted, "ran",
                  (json_int_t)stats.ran, "running", (json_int_t)stats.busy, "rejected",
                  (json_int_t)(stats.refused[TASK_QUEUE_FULL] + stats.refused[TASK_DRAINING] +
                               stats.refused[TASK_CLIENT_GONE]),
                  "rejected_by_reason", "queue_full", (json_int_t)stats.refused[TASK_QUEUE_FULL],
                  "draining", (json_int_t)stats.refused[TASK_DRAINING], "client_gone",
                  (json_int_t)stats.refused[TASK_CLIENT_GONE], "oldest_wait_ms",
                  (double)stats.oldest_wait_ns / (double)NS_PER_MS, "mean_wait_ms",
                  mean_ms(stats.wait_ns, stats.ran), "mean_run_ms",
                  mean_ms(stats.run_ns, stats.ran)));
    return json;
}
