#include "clock.h"
#include "meters.h"
#include "support.h"

#include <pthread.h>

static struct meters meters;

static uint64_t all_in(const struct stats_buckets *buckets)
{
    struct stats_buckets_sum sum = {0};
    uint64_t count = 0;

    stats_buckets_sum(buckets, &sum);
    for (unsigned i = 0; i <= STATS_MAX_BOUNDS; i++)
        count += sum.counts[i];
    return count;
}

START_TEST(a_name_has_one_meter_for_ever)
{
    struct meter *a = meter_get(&meters.routes, "/a"), *b = meter_get(&meters.routes, "/b");
    const struct meter *meter;
    struct strbuf seen = {0};

    ck_assert_ptr_ne(a, b);
    ck_assert_ptr_eq(meter_get(&meters.routes, "/a"), a);
    ck_assert_ptr_eq(meter_find(&meters.routes, "/b"), b);
    ck_assert_ptr_null(meter_find(&meters.routes, "/c"));
    ck_assert_ptr_null(meter_find(&meters.pools, "/a"));
    meter_for_each(meter, &meters.routes) strbuf_adds(&seen, meter->name);
    ck_assert_strbuf(&seen, "/a/b");
    meters_destroy(&meters);
}
END_TEST

START_TEST(every_loop_has_a_part_of_its_own)
{
    struct meter *meter = meter_get(&meters.routes, "/a");
    struct route_part *first = meter_route_part(meter, 0);
    struct route_part *last = meter_route_part(meter, METERS_MAX_LOOPS - 1);

    ck_assert_ptr_ne(first, last);
    ck_assert_ptr_eq(meter_route_part(meter, 0), first);
    ck_assert_ptr_eq(meter_part(meter, METERS_MAX_LOOPS - 1), last);
    ck_assert_ptr_null(meter_part(meter, 1));
    ck_assert_ptr_eq(meters_loop_part(&meters, 2), meters_loop_part(&meters, 2));
    meters_destroy(&meters);
}
END_TEST

START_TEST(requests_are_counted_by_method_and_status)
{
    struct meter *meter = meter_get(&meters.routes, "/a");
    struct route_part *part = meter_route_part(meter, 1);
    const struct route_series *series;
    unsigned n_series = 0;

    for (int i = 0; i < 3; i++)
        route_part_add(part, METHOD_GET, 200, NS_PER_MS, 1);
    route_part_add(part, METHOD_HEAD, 200, NS_PER_MS, 1);
    route_part_add(part, METHOD_GET, 503, NS_PER_MS, 1);
    for (series = part->series; series; series = series->next, n_series++)
        ck_assert_uint_eq(all_in(&series->duration),
                          series->method == METHOD_GET && series->status == 200 ? 3 : 1);
    ck_assert_uint_eq(n_series, 3);
    route_part_add(meter_route_part(meter_get(&meters.routes, ""), 0), METHOD_GET, 404, 1, 1);
    ck_assert_uint_eq(meters_requests(&meters), 6);
    meters_destroy(&meters);
}
END_TEST

START_TEST(what_has_begun_and_not_ended_is_in_flight)
{
    struct meter *meter = meter_get(&meters.routes, "/a");

    ck_assert_uint_eq(meter_in_flight(meter), 0);
    stats_add(&meter_route_part(meter, 0)->begun, 5);
    stats_add(&meter_route_part(meter, 0)->ended, 2);
    stats_add(&meter_route_part(meter, 3)->begun, 1);
    stats_add(&meter_route_part(meter, 3)->submitted, 7);
    stats_add(&meter_route_part(meter, 3)->returned, 6);
    ck_assert_uint_eq(meter_in_flight(meter), 4);
    ck_assert_uint_eq(meter_with_pool(meter), 1);
    meters_destroy(&meters);
}
END_TEST

START_TEST(tasks_count_for_route_and_pool_waiting_apart_from_running)
{
    struct route_part *route = meter_route_part(meter_get(&meters.routes, "/a"), 0);
    struct pool_part *pool = meter_pool_part(meter_get(&meters.pools, "p"), 0);
    struct stats_sum wait = {0}, run = {0};

    ck_assert_ptr_null(atomic_load(&route->wait));
    route_part_add_task(route, NS_PER_MS, NS_PER_SEC, 1);
    pool_part_add_task(pool, NS_PER_MS, NS_PER_SEC, 1);
    stats_sum_all(route->wait, &wait);
    stats_sum_all(route->run, &run);
    ck_assert_uint_eq(wait.counts[stats_bin(NS_PER_MS)], 1);
    ck_assert_uint_eq(run.counts[stats_bin(NS_PER_SEC)], 1);
    stats_sum_all(&pool->wait_latency, &wait);
    ck_assert_uint_eq(wait.counts[stats_bin(NS_PER_MS)], 2);
    ck_assert_uint_eq(all_in(&pool->wait), 1);
    ck_assert_uint_eq(all_in(&pool->run), 1);
    ck_assert_uint_eq(pool->run.sum_ns, (uint64_t)NS_PER_SEC);
    meters_destroy(&meters);
}
END_TEST

enum { LOOPS = 4, REQUESTS = 20000 };

static void *count_requests(void *arg)
{
    unsigned loop = *(unsigned *)arg;
    struct meter *meter = meter_find(&meters.routes, "/a");

    for (int i = 0; i < REQUESTS; i++) {
        struct route_part *part = meter_route_part(meter, loop);

        stats_add(&part->begun, 1);
        route_part_add(part, i % 2 ? METHOD_GET : METHOD_POST, 200 + i % 7, i, i);
        stats_add(&part->ended, 1);
    }
    return NULL;
}

START_TEST(loops_count_and_others_look_without_a_lock)
{
    struct meter *meter = meter_get(&meters.routes, "/a");
    unsigned numbers[LOOPS];
    pthread_t threads[LOOPS];
    uint64_t last = 0;

    for (unsigned i = 0; i < LOOPS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_requests, &numbers[i]), 0);
    }
    while (last < (uint64_t)LOOPS * REQUESTS) {
        uint64_t now = meters_requests(&meters);

        ck_assert_uint_ge(now, last);
        ck_assert_uint_le(meter_in_flight(meter), (uint64_t)LOOPS * REQUESTS);
        ck_assert_ptr_nonnull(meter_get(&meters.pools, "made meanwhile"));
        last = now;
    }
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(meter_in_flight(meter), 0);
    meters_destroy(&meters);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_name_has_one_meter_for_ever,
        every_loop_has_a_part_of_its_own,
        requests_are_counted_by_method_and_status,
        what_has_begun_and_not_ended_is_in_flight,
        tasks_count_for_route_and_pool_waiting_apart_from_running,
        loops_count_and_others_look_without_a_lock,
    };

    return support_run("meters", tests, COUNT_OF(tests));
}
