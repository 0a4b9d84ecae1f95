/* meters.h - what the daemon counts, by the name of what it is counted for.
 *
 * A meter belongs to a name (a route's pattern, a pool, a listener), not to a configuration: it is
 * made when a configuration first brings the name and stays until the program ends, so that no counter
 * ever goes back over a reload.  Each loop has a part of its own in every meter that it counts in, and
 * is the only one that writes it; readers on any thread sum the parts. */
#ifndef HANDOFFD_METERS_H
#define HANDOFFD_METERS_H

#include "http_method.h"
#include "pool.h"
#include "stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { METERS_MAX_LOOPS = 64 };

/* What became of all tasks of a pool. */
struct pool_numbers {
    uint64_t results[TASK_RESULT_COUNT];
    uint64_t refused[TASK_END_COUNT];
    uint64_t queued;
    uint64_t running;
    uint64_t cpu_ns;
};

struct meter {
    _Atomic(struct meter *) next;
    char *name;
    _Atomic(void *) parts[METERS_MAX_LOOPS]; /* NULL: the loop has counted nothing yet */
    _Atomic(struct pool_past *) past;        /* of a pool: NULL when there was none before */
};

/* Only the main thread adds to it; any thread reads it. */
struct meter_list {
    _Atomic(struct meter *) first;
    struct meter *last;
};

/* ---- the parts ------------------------------------------------------------------------------- */

/* Requests of one route with one method and status. */
struct route_series {
    struct route_series *next;
    enum http_method method;
    int status;
    struct stats_buckets duration; /* by stats_bounds_http; its counts are the number of requests */
};

struct route_part {
    stats_counter begun;
    stats_counter ended;
    stats_counter submitted; /* tasks handed to a pool, */
    stats_counter returned;  /* and those that have come back, run or not */
    stats_counter body_bytes;
    _Atomic(struct route_series *) series; /* only ever longer */
    struct stats_latency duration;
    /* Of tasks that ran; NULL on routes that never had any. */
    _Atomic(struct stats_latency *) wait;
    _Atomic(struct stats_latency *) run;
};

/* How a task that ran has ended. */

/* Tasks of one pool that ran, by stats_bounds_fine. */
struct pool_part {
    struct stats_buckets wait;
    struct stats_buckets run;
    struct stats_latency wait_latency;
    struct stats_latency run_latency;
};

/* What pools of that name have done, and do still, that a reload has removed. */
struct pool_past {
    /* Or a task could be seen twice, or not at all, while it changes its state. */
    pthread_mutex_t lock;
    struct pool_numbers numbers;
};

/* What a connection is doing. */
enum conn_state {
    CONN_STATE_IDLE,      /* between requests */
    CONN_STATE_READING,   /* a request is coming in */
    CONN_STATE_ANSWERING, /* a request waits or runs */
    CONN_STATE_WRITING,   /* an answer is going out */
    CONN_STATE_CLOSING,   /* the last answer is out */
    CONN_STATE_COUNT,
};

extern const char *const conn_state_names[CONN_STATE_COUNT];

struct listener_part {
    _Atomic unsigned connections[CONN_STATE_COUNT];
    stats_counter accepted;
};

/* One loop as a whole; not by name. */
struct loop_part {
    struct stats_buckets lag; /* by stats_bounds_fine */
    struct stats_latency lag_latency;
};

struct meters {
    struct meter_list
        routes; /* and one with the name "", for requests that no route was found for */
    struct meter_list pools;
    struct meter_list listeners;
    _Atomic(struct loop_part *) loops[METERS_MAX_LOOPS];
};

/* ---- making ---------------------------------------------------------------------------------- */

/* Zero-initialised is empty. */
void meters_destroy(struct meters *meters);

/* The meter of that name, made if need be.  NULL: out of memory.  The main thread only. */
struct meter *meter_get(struct meter_list *list, const char *name);

/* The meter of that name, or NULL.  Any thread. */
struct meter *meter_find(const struct meter_list *list, const char *name);

static inline struct meter *meter_next(const struct meter *meter)
{
    return atomic_load_explicit(&meter->next, memory_order_acquire);
}

#define meter_for_each(meter, list)                                                     \
    for ((meter) = atomic_load_explicit(&(list)->first, memory_order_acquire); (meter); \
         (meter) = meter_next(meter))

/* ---- counting: on the loop's thread ---------------------------------------------------------- */

/* The loop's own part, made when it is first asked for.  NULL: out of memory. */
struct route_part *meter_route_part(struct meter *meter, unsigned loop);
struct pool_part *meter_pool_part(struct meter *meter, unsigned loop);
struct listener_part *meter_listener_part(struct meter *meter, unsigned loop);
struct loop_part *meters_loop_part(struct meters *meters, unsigned loop);

/* A request of the route has been answered. */
void route_part_add(struct route_part *part, enum http_method method, int status, int64_t ns,
                    int64_t now_ns);

/* A task of the route, or of the pool, ran. */
void route_part_add_task(struct route_part *part, int64_t wait_ns, int64_t run_ns, int64_t now_ns);
void pool_part_add_task(struct pool_part *part, int64_t wait_ns, int64_t run_ns, int64_t now_ns);

/* Brings what a removed pool has done and does into the past of its name.  `before` is what it was the
 * last time, zero-initialised at first.  The main thread. */
void meter_add_past(struct meter *meter, struct pool *pool, struct pool_numbers *before);

/* ---- looking: on any thread ------------------------------------------------------------------ */

static inline const void *meter_part(const struct meter *meter, unsigned loop)
{
    return atomic_load_explicit(&meter->parts[loop], memory_order_acquire);
}

/* Adds the past of a pool's name to `sum`. */
void meter_sum_past(const struct meter *pool, struct pool_numbers *sum);

/* Requests of all routes and of none that have been answered. */
uint64_t meters_requests(const struct meters *meters);

/* The requests of a route that are in flight, and those that wait or run in a pool. */
uint64_t meter_in_flight(const struct meter *route);
uint64_t meter_with_pool(const struct meter *route);

#endif
