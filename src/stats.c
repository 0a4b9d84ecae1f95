/* DESIGN
 *
 * Percentiles come from a log-linear histogram, laid out as in HdrHistogram (hdrhistogram.org): each
 * doubling of the duration is cut into 32 bins of equal width.  A bin [v, v + w) has v >= 32 w, and
 * its middle stands for all of it, so no value is more than w / 2 <= v / 64, or 1.6 %, off.  Such
 * histograms add up bin by bin without any loss: loops, routes and windows are summed when somebody
 * looks.
 *
 * The last minute.  A latency has seven windows of ten seconds, used in turn: one that is being filled
 * and the six before it.  The writer clears a window when it comes round to it.  A reader takes those
 * whose number says that they belong to the last minute.  Only bins between a window's `low` and
 * `high` are ever touched, so that a window costs the memory and the time of what was counted in it.
 *
 * Prometheus wants other, fixed boundaries; these are counted apart, so that what it is shown is
 * exact. */
#include "stats.h"

#include "clock.h"

#include <stdbool.h>

/* ---- buckets --------------------------------------------------------------------------------- */

#define US(n) ((n)*NS_PER_US)
#define MS(n) ((n)*NS_PER_MS)
#define S(n) ((n)*NS_PER_SEC)

#define HTTP_NS                                                                                \
    MS(5), MS(10), MS(25), MS(50), MS(75), MS(100), MS(250), MS(500), MS(750), S(1), MS(2500), \
        S(5), MS(7500), S(10)
#define HTTP_SECONDS                                                                          \
    "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5", \
        "7.5", "10"

static const int64_t http_ns[] = {HTTP_NS};
static const char *const http_seconds[] = {HTTP_SECONDS};
static const int64_t fine_ns[] = {US(100),  US(250), US(500), MS(1),
                                  US(2500), HTTP_NS, S(30),   S(60)};
static const char *const fine_seconds[] = {"0.0001", "0.00025",    "0.0005", "0.001",
                                           "0.0025", HTTP_SECONDS, "30",     "60"};

#define BOUNDS(ns, seconds)                    \
    {                                          \
        ns, seconds, sizeof(ns) / sizeof *(ns) \
    }

const struct stats_bounds stats_bounds_http = BOUNDS(http_ns, http_seconds);
const struct stats_bounds stats_bounds_fine = BOUNDS(fine_ns, fine_seconds);

_Static_assert(sizeof fine_ns / sizeof *fine_ns <= STATS_MAX_BOUNDS, "room for all boundaries");

void stats_buckets_add(struct stats_buckets *buckets, const struct stats_bounds *bounds, int64_t ns)
{
    unsigned i = 0;

    if (ns < 0)
        ns = 0;
    while (i < bounds->count && ns > bounds->ns[i])
        i++;
    stats_add(&buckets->counts[i], 1);
    stats_add(&buckets->sum_ns, (uint64_t)ns);
}

void stats_buckets_sum(const struct stats_buckets *buckets, struct stats_buckets_sum *sum)
{
    for (unsigned i = 0; i <= STATS_MAX_BOUNDS; i++)
        sum->counts[i] += stats_read(&buckets->counts[i]);
    sum->sum_ns += stats_read(&buckets->sum_ns);
}

/* ---- bins ------------------------------------------------------------------------------------ */

enum { BINS_PER_DOUBLING = 1 << STATS_HALF_BITS };

unsigned stats_bin(int64_t ns)
{
    uint64_t units = ns > 0 ? (uint64_t)ns >> STATS_UNIT_BITS : 0;
    unsigned top, shift;

    if (units < BINS_PER_DOUBLING)
        return (unsigned)units;
    top = 63 - (unsigned)__builtin_clzll(units);
    if (top > STATS_TOP_BIT - STATS_UNIT_BITS)
        return STATS_BINS - 1;
    shift = top - STATS_HALF_BITS;
    return (shift << STATS_HALF_BITS) + (unsigned)(units >> shift);
}

int64_t stats_bin_value(unsigned bin)
{
    unsigned shift = bin >> STATS_HALF_BITS;
    uint64_t units = bin;

    if (shift) {
        shift--;
        units = (uint64_t)(bin % BINS_PER_DOUBLING + BINS_PER_DOUBLING) << shift;
    }
    return (int64_t)((units << STATS_UNIT_BITS) + ((UINT64_C(1) << STATS_UNIT_BITS << shift) / 2));
}

/* ---- latency --------------------------------------------------------------------------------- */

static int64_t window_number(int64_t now_ns)
{
    return now_ns / (STATS_WINDOW_SECONDS * NS_PER_SEC) + 1;
}

static void begin_window(struct stats_window *window, int64_t number)
{
    unsigned low = atomic_load_explicit(&window->low, memory_order_relaxed);
    unsigned high = atomic_load_explicit(&window->high, memory_order_relaxed);
    bool used = atomic_load_explicit(&window->number, memory_order_relaxed) != 0;

    for (unsigned i = low; used && i <= high; i++)
        atomic_store_explicit(&window->counts[i], 0, memory_order_relaxed);
    atomic_store_explicit(&window->low, STATS_BINS, memory_order_relaxed);
    atomic_store_explicit(&window->high, 0, memory_order_relaxed);
    atomic_store_explicit(&window->number, number, memory_order_relaxed);
}

static void add_to_window(struct stats_window *window, unsigned bin)
{
    _Atomic uint32_t *count = &window->counts[bin];

    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (bin < atomic_load_explicit(&window->low, memory_order_relaxed))
        atomic_store_explicit(&window->low, bin, memory_order_relaxed);
    if (bin > atomic_load_explicit(&window->high, memory_order_relaxed))
        atomic_store_explicit(&window->high, bin, memory_order_relaxed);
}

void stats_latency_add(struct stats_latency *latency, int64_t ns, int64_t now_ns)
{
    int64_t number = window_number(now_ns);
    struct stats_window *window = &latency->windows[number % STATS_WINDOWS];
    unsigned bin = stats_bin(ns);

    stats_add(&latency->counts[bin], 1);
    if (bin >= atomic_load_explicit(&latency->used, memory_order_relaxed))
        atomic_store_explicit(&latency->used, bin + 1, memory_order_relaxed);
    if (atomic_load_explicit(&window->number, memory_order_relaxed) != number)
        begin_window(window, number);
    add_to_window(window, bin);
}

void stats_sum_all(const struct stats_latency *latency, struct stats_sum *sum)
{
    unsigned used = atomic_load_explicit(&latency->used, memory_order_relaxed);

    for (unsigned i = 0; i < used; i++) {
        uint64_t count = stats_read(&latency->counts[i]);

        sum->counts[i] += count;
        sum->total += count;
    }
}

static void sum_window(const struct stats_window *window, struct stats_sum *sum)
{
    unsigned low = atomic_load_explicit(&window->low, memory_order_relaxed);
    unsigned high = atomic_load_explicit(&window->high, memory_order_relaxed);

    for (unsigned i = low; i <= high && i < STATS_BINS; i++) {
        uint32_t count = atomic_load_explicit(&window->counts[i], memory_order_relaxed);

        sum->counts[i] += count;
        sum->total += count;
    }
}

void stats_sum_minute(const struct stats_latency *latency, int64_t now_ns, struct stats_sum *sum)
{
    int64_t last = window_number(now_ns);

    for (unsigned i = 0; i < STATS_WINDOWS; i++) {
        const struct stats_window *window = &latency->windows[i];
        int64_t number = atomic_load_explicit(&window->number, memory_order_relaxed);

        if (number > last - STATS_WINDOWS && number && number <= last)
            sum_window(window, sum);
    }
}

static uint64_t rank_of(const struct stats_sum *sum, unsigned per_mille)
{
    uint64_t rank = sum->total / 1000 * per_mille + (sum->total % 1000 * per_mille + 999) / 1000;

    return rank ? rank : 1;
}

void stats_percentiles(const struct stats_sum *sum, const unsigned *per_mille, size_t n,
                       int64_t *out)
{
    uint64_t seen = 0;
    size_t found = 0;

    for (unsigned i = 0; i < STATS_BINS && sum->total && found < n; i++) {
        seen += sum->counts[i];
        while (found < n && seen >= rank_of(sum, per_mille[found]))
            out[found++] = stats_bin_value(i);
    }
    while (found < n)
        out[found++] = 0;
}

int64_t stats_percentile(const struct stats_sum *sum, unsigned per_mille)
{
    int64_t value;

    stats_percentiles(sum, &per_mille, 1, &value);
    return value;
}
