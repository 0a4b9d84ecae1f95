#include "clock.h"
#include "stats.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- buckets --------------------------------------------------------------------------------- */

START_TEST(a_boundary_belongs_to_its_own_bucket)
{
    const struct stats_bounds *bounds = &stats_bounds_http;
    struct stats_buckets buckets = {0};
    struct stats_buckets_sum sum = {0};
    uint64_t total = 0;

    for (unsigned i = 0; i < bounds->count; i++) {
        stats_buckets_add(&buckets, bounds, bounds->ns[i]);
        stats_buckets_add(&buckets, bounds, bounds->ns[i] + 1);
        total += (uint64_t)bounds->ns[i] * 2 + 1;
    }
    stats_buckets_add(&buckets, bounds, 0);
    stats_buckets_add(&buckets, bounds, -5);
    stats_buckets_sum(&buckets, &sum);
    ck_assert_uint_eq(sum.counts[0], 3);
    for (unsigned i = 1; i < bounds->count; i++)
        ck_assert_uint_eq(sum.counts[i], 2);
    ck_assert_uint_eq(sum.counts[bounds->count], 1);
    ck_assert_uint_eq(sum.sum_ns, total);
    stats_buckets_sum(&buckets, &sum);
    ck_assert_uint_eq(sum.counts[0], 6);
}
END_TEST

START_TEST(boundaries_rise_and_their_texts_are_true)
{
    const struct stats_bounds *const all[] = {&stats_bounds_http, &stats_bounds_fine};

    ck_assert_uint_eq(stats_bounds_http.count, 14);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (unsigned k = 0; k < all[i]->count; k++) {
            ck_assert_int_eq((int64_t)(strtod(all[i]->seconds[k], NULL) * 1e9 + 0.5),
                             all[i]->ns[k]);
            ck_assert(k == 0 || all[i]->ns[k] > all[i]->ns[k - 1]);
        }
}
END_TEST

/* ---- percentiles ----------------------------------------------------------------------------- */

START_TEST(every_duration_is_within_a_64th_of_its_bin)
{
    struct support_random random = support_random_new("bins");

    for (int i = 0; i < 200000; i++) {
        unsigned bits = 10 + support_random_below(&random, 34);
        int64_t ns = INT64_C(1) << bits;
        unsigned bin;
        int64_t value;

        ns += (int64_t)((((uint64_t)support_random_below(&random, UINT32_MAX) << 32) |
                         support_random_below(&random, UINT32_MAX)) &
                        (uint64_t)(ns - 1));
        bin = stats_bin(ns);
        value = stats_bin_value(bin);
        ck_assert_uint_lt(bin, STATS_BINS);
        ck_assert_msg(llabs(value - ns) * 64 <= ns, "%lld stands for %lld", (long long)value,
                      (long long)ns);
        ck_assert_uint_eq(stats_bin(value), bin);
    }
}
END_TEST

START_TEST(short_and_endless_durations_have_their_bins)
{
    ck_assert_uint_eq(stats_bin(-1), 0);
    ck_assert_uint_eq(stats_bin(INT64_MIN), 0);
    for (int64_t ns = 0; ns < 2048; ns++)
        ck_assert_int_le(llabs(stats_bin_value(stats_bin(ns)) - ns), ns < 1024 ? 16 : 16 + ns / 64);
    ck_assert_uint_eq(stats_bin((INT64_C(1) << 44) - 1), STATS_BINS - 1);
    ck_assert_uint_eq(stats_bin(INT64_C(1) << 44), STATS_BINS - 1);
    ck_assert_uint_eq(stats_bin(INT64_MAX), STATS_BINS - 1);
    for (unsigned bin = 1; bin < STATS_BINS; bin++)
        ck_assert_int_gt(stats_bin_value(bin), stats_bin_value(bin - 1));
}
END_TEST

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

enum { SAMPLES = 50000 };

/* Fills in samples of one of three shapes: even, nearly all alike with a tail, over many scales. */
static int64_t sample(struct support_random *random, int shape)
{
    uint32_t r = support_random_below(random, 1000000);

    switch (shape) {
    case 0:
        return 2000 + (int64_t)r * 977;
    case 1:
        return r % 100 ? 300000 + r % 1000 : 3 * NS_PER_SEC + r;
    default:
        return (INT64_C(1000) << r % 24) + r;
    }
}

static void check_percentiles(int shape)
{
    static const unsigned wanted[] = {1, 250, 500, 900, 990, 999, 1000};
    int64_t together[COUNT_OF(wanted)];
    struct support_random random = support_random_new("percentiles");
    struct stats_latency *latency = calloc(1, sizeof *latency);
    struct stats_sum sum = {0}, minute = {0};
    int64_t *exact = calloc(SAMPLES, sizeof *exact);

    for (int i = 0; i < SAMPLES; i++) {
        exact[i] = sample(&random, shape);
        stats_latency_add(latency, exact[i], 1);
    }
    qsort(exact, SAMPLES, sizeof *exact, compare);
    stats_sum_all(latency, &sum);
    stats_sum_minute(latency, 1, &minute);
    ck_assert_mem_eq(&sum, &minute, sizeof sum);
    ck_assert_uint_eq(sum.total, SAMPLES);
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        int64_t rank = ((int64_t)SAMPLES * wanted[i] + 999) / 1000;
        int64_t truth = exact[rank - 1], told = stats_percentile(&sum, wanted[i]);

        ck_assert_msg(llabs(told - truth) * 50 <= truth, "%u: %lld instead of %lld", wanted[i],
                      (long long)told, (long long)truth);
    }
    stats_percentiles(&sum, wanted, COUNT_OF(wanted), together);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        ck_assert_int_eq(together[i], stats_percentile(&sum, wanted[i]));
    free(exact);
    free(latency);
}

START_TEST(percentiles_are_within_two_percent_of_the_exact_ones)
{
    for (int shape = 0; shape < 3; shape++)
        check_percentiles(shape);
}
END_TEST

START_TEST(nothing_counted_has_no_percentile)
{
    const struct stats_sum none = {0};

    ck_assert_int_eq(stats_percentile(&none, 500), 0);
}
END_TEST

START_TEST(sums_of_latencies_are_exact)
{
    struct stats_latency *one = calloc(1, sizeof *one), *two = calloc(1, sizeof *two);
    struct stats_latency *both = calloc(1, sizeof *both);
    struct stats_sum merged = {0}, whole = {0};
    struct support_random random = support_random_new("sums");

    for (int i = 0; i < 10000; i++) {
        int64_t ns = sample(&random, 2);

        stats_latency_add(i % 3 ? one : two, ns, 1);
        stats_latency_add(both, ns, 1);
    }
    stats_sum_all(one, &merged);
    stats_sum_all(two, &merged);
    stats_sum_all(both, &whole);
    ck_assert_mem_eq(&merged, &whole, sizeof whole);
    free(one);
    free(two);
    free(both);
}
END_TEST

/* ---- the last minute ------------------------------------------------------------------------- */

static uint64_t in_minute(const struct stats_latency *latency, int64_t seconds)
{
    struct stats_sum sum = {0};

    stats_sum_minute(latency, seconds * NS_PER_SEC, &sum);
    return sum.total;
}

START_TEST(what_is_older_than_a_minute_is_forgotten)
{
    struct stats_latency *latency = calloc(1, sizeof *latency);
    struct stats_sum all = {0};

    ck_assert_uint_eq(in_minute(latency, 0), 0);
    for (int64_t second = 0; second < 300; second++) {
        uint64_t expected = (uint64_t)(second < 60 ? second + 1 : 60 + second % 10 + 1);

        stats_latency_add(latency, second * NS_PER_MS, second * NS_PER_SEC);
        ck_assert_uint_eq(in_minute(latency, second), expected);
    }
    ck_assert_uint_eq(in_minute(latency, 299 + 30), 40);
    ck_assert_uint_eq(in_minute(latency, 299 + 70), 0);
    stats_sum_all(latency, &all);
    ck_assert_uint_eq(all.total, 300);
    free(latency);
}
END_TEST

START_TEST(a_window_is_clean_when_its_turn_comes_again)
{
    struct stats_latency *latency = calloc(1, sizeof *latency);
    struct stats_sum sum = {0};
    int64_t later = 10 * 70 * NS_PER_SEC;

    for (unsigned bin = 0; bin < STATS_BINS; bin++)
        stats_latency_add(latency, stats_bin_value(bin), 0);
    stats_latency_add(latency, 5 * NS_PER_MS, later);
    stats_sum_minute(latency, later, &sum);
    ck_assert_uint_eq(sum.total, 1);
    ck_assert_uint_eq(sum.counts[stats_bin(5 * NS_PER_MS)], 1);
    free(latency);
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

enum { WRITES = 100000 };

static void *write_many(void *arg)
{
    struct stats_latency *latency = arg;

    for (int64_t i = 0; i < WRITES; i++)
        stats_latency_add(latency, i * 1000, i * NS_PER_MS);
    return NULL;
}

START_TEST(readers_need_no_lock)
{
    struct stats_latency *latency = calloc(1, sizeof *latency);
    uint64_t last = 0;
    pthread_t writer;

    ck_assert_int_eq(pthread_create(&writer, NULL, write_many, latency), 0);
    while (last < WRITES) {
        struct stats_sum all = {0}, minute = {0};

        stats_sum_all(latency, &all);
        stats_sum_minute(latency, (int64_t)all.total * NS_PER_MS, &minute);
        ck_assert_uint_ge(all.total, last);
        ck_assert_uint_le(all.total, WRITES);
        last = all.total;
    }
    pthread_join(writer, NULL);
    free(latency);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_boundary_belongs_to_its_own_bucket,
        boundaries_rise_and_their_texts_are_true,
        every_duration_is_within_a_64th_of_its_bin,
        short_and_endless_durations_have_their_bins,
        percentiles_are_within_two_percent_of_the_exact_ones,
        nothing_counted_has_no_percentile,
        sums_of_latencies_are_exact,
        what_is_older_than_a_minute_is_forgotten,
        a_window_is_clean_when_its_turn_comes_again,
        readers_need_no_lock,
    };

    return support_run("stats", tests, COUNT_OF(tests));
}
