/* latency_json.h - latencies of several loops, as percentiles. */
#ifndef HANDOFFD_LATENCY_JSON_H
#define HANDOFFD_LATENCY_JSON_H

#include "stats.h"

#include <jansson.h>
#include <stdint.h>

/* Zero-initialised is empty. */
struct latency_sums {
    struct stats_sum start;  /* since the start */
    struct stats_sum minute; /* of the last minute */
};

/* `latency` may be NULL. */
void latency_sums_add(struct latency_sums *sums, const struct stats_latency *latency,
                      int64_t now_ns);

/* {"last_minute": {"count", "p50", "p90", "p99", "p99.9"}, "since_start": the same}, in milliseconds.
 * A new reference, or NULL when memory has run out. */
json_t *latency_sums_json(const struct latency_sums *sums);

/* How many a second there were in the last minute, for a program that began at `started_ns`. */
double latency_sums_rate(const struct latency_sums *sums, int64_t started_ns, int64_t now_ns);

#endif
