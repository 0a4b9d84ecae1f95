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
    static const unsigned per_mille[] = {500, 900, 990, 999};
    int64_t ns[4];

    stats_percentiles(sum, per_mille, 4, ns);
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "count", (json_int_t)sum->total, "p50",
                     (double)ns[0] / (double)NS_PER_MS, "p90", (double)ns[1] / (double)NS_PER_MS,
                     "p99", (double)ns[2] / (double)NS_PER_MS, "p99.9",
                     (double)ns[3] / (double)NS_PER_MS);
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
