/* stats.h - counters and histograms that one thread writes and any thread reads, without a lock.
 *
 * One writer at a time is the condition everywhere here: an instance belongs to one loop's thread, or
 * is written under a lock that its owner has anyway.  What several threads count is summed when
 * somebody looks. */
#ifndef HANDOFFD_STATS_H
#define HANDOFFD_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* ---- counters -------------------------------------------------------------------------------- */

typedef _Atomic uint64_t stats_counter;

/* By the only writer: cheaper than an atomic addition, which two cores could do at once. */
static inline void stats_add(stats_counter *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t stats_read(const stats_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- buckets: a histogram over few, given boundaries ------------------------------------------ */

/* Boundaries in rising order, in nanoseconds and as text in seconds.  A value belongs to the first
 * boundary that it does not exceed, or to the bucket behind the last one. */
struct stats_bounds {
    const int64_t *ns;
    const char *const *seconds;
    unsigned count;
};

enum { STATS_MAX_BOUNDS = 24 };

/* The boundaries of OpenTelemetry's http.server.request.duration, 5 ms to 10 s. */
extern const struct stats_bounds stats_bounds_http;
/* The same with 0.1 ms to 2.5 ms before and half a minute and a minute behind: for what happens
 * inside. */
extern const struct stats_bounds stats_bounds_fine;

struct stats_buckets {
    stats_counter counts[STATS_MAX_BOUNDS + 1];
    stats_counter sum_ns;
};

struct stats_buckets_sum {
    uint64_t counts[STATS_MAX_BOUNDS + 1]; /* each its own, not cumulated */
    uint64_t sum_ns;
};

/* The writer only; what is below 0 counts as 0. */
void stats_buckets_add(struct stats_buckets *buckets, const struct stats_bounds *bounds,
                       int64_t ns);
/* Any thread: adds what was counted to `sum`. */
void stats_buckets_sum(const struct stats_buckets *buckets, struct stats_buckets_sum *sum);

/* ---- latency: percentiles --------------------------------------------------------------------- */

enum {
    STATS_HALF_BITS = 5, /* 2^5 bins for each doubling */
    STATS_UNIT_BITS = 5, /* counted in units of 2^5 ns */
    STATS_TOP_BIT = 43,  /* 2^44 ns, which is 4.9 hours, and more go to the last bin */
    STATS_BINS = (STATS_TOP_BIT - STATS_UNIT_BITS - STATS_HALF_BITS + 2) << STATS_HALF_BITS,
    STATS_WINDOWS = 7,
    STATS_WINDOW_SECONDS = 10,
};

/* The bin of a duration, and the duration that stands for all of a bin. */
unsigned stats_bin(int64_t ns);
int64_t stats_bin_value(unsigned bin);

struct stats_window {
    _Atomic int64_t number; /* which ten seconds these are; 0: never used */
    _Atomic unsigned low;   /* no bin outside low..high has been counted in; low > high: none */
    _Atomic unsigned high;
    _Atomic uint32_t counts[STATS_BINS];
};

/* Zero-initialised is empty.  Large: allocate with calloc, untouched pages cost nothing. */
struct stats_latency {
    _Atomic unsigned used; /* the highest bin counted in, plus one */
    stats_counter counts[STATS_BINS];
    struct stats_window windows[STATS_WINDOWS];
};

/* Any number of latencies added up. */
struct stats_sum {
    uint64_t total;
    uint64_t counts[STATS_BINS];
};

/* The writer only. */
void stats_latency_add(struct stats_latency *latency, int64_t ns, int64_t now_ns);

/* Any thread: adds all that was counted to `sum`; or what was counted in the last 60 to 70 seconds.
 * While the writer begins a window, a reader may see part of it. */
void stats_sum_all(const struct stats_latency *latency, struct stats_sum *sum);
void stats_sum_minute(const struct stats_latency *latency, int64_t now_ns, struct stats_sum *sum);

/* The duration that so many thousandths of what was counted do not exceed: at most 1/64 off the
 * exact value by the nearest-rank method, for durations of a microsecond to 4.8 hours, and at most
 * 16 ns off below.  0 when nothing was counted. */
int64_t stats_percentile(const struct stats_sum *sum, unsigned per_mille);
/* Several at once, in rising order. */
void stats_percentiles(const struct stats_sum *sum, const unsigned *per_mille, size_t n,
                       int64_t *out);

#endif
