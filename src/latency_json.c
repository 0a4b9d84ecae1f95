#include "latency_json.h"

#include "clock.h"

void latency_sums_add(struct latency_sums *sums, const struct stats_latency *latency, int64_t now)
{
    if (!latency)
        return;
    stats_sum_all(latency, &sums->start);
    stats_sum_minute(latency, now, &sums->minute);
}

static json_t *sum_json(const struct stats_sum *sum)
{
    static const struct {
        const char *name;
        unsigned per_mille;
    } percentiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}};
    json_t *json = json_pack("{s:I}", "count", (json_int_t)sum->total);

    for (size_t i = 0; json && i < sizeof percentiles / sizeof *percentiles; i++)
        json_object_set_new(
            json, percentiles[i].name,
            json_real((double)stats_percentile(sum, percentiles[i].per_mille) / (double)NS_PER_MS));
    return json;
}

json_t *latency_sums_json(const struct latency_sums *sums)
{
    return json_pack("{s:o, s:o}", "last_minute", sum_json(&sums->minute), "since_start",
                     sum_json(&sums->start));
}

double latency_sums_rate(const struct latency_sums *sums, int64_t started_ns, int64_t now_ns)
{
    int64_t window = STATS_WINDOW_SECONDS * NS_PER_SEC;
    int64_t span = (STATS_WINDOWS - 1) * window + now_ns % window;

    if (span > now_ns - started_ns)
        span = now_ns - started_ns;
    return span > 0 ? (double)sums->minute.total * (double)NS_PER_SEC / (double)span : 0;
}
