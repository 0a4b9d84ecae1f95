#include "metrics.h"

#include "clock.h"
#include "metrics_text.h"

#include <stdlib.h>
#include <string.h>

/* What is shown of one pool, taken in one go before anything is written. */
struct view {
    struct strbuf labels;
    struct pool_stats stats; /* what waits and runs in removed pools is in `queued` and `busy` */
    struct pool_numbers numbers; /* those of pools of that name that have been removed, too */
    uint64_t submitted;
    struct stats_buckets_sum wait;
    struct stats_buckets_sum run;
};

static const char *const reasons[TASK_END_COUNT] = {[TASK_QUEUE_FULL] = "queue_full",
                                                    [TASK_QUEUE_TIMEOUT] = "queue_timeout",
                                                    [TASK_ROUTE_FULL] = "route_full",
                                                    [TASK_DRAINING] = "draining",
                                                    [TASK_CLIENT_GONE] = "client_gone"};

static const char *const pool_result_names[TASK_RESULT_COUNT] = {"ok", "error", "timeout",
                                                                 "cancelled"};

/* Past and present. */
static void look_at_books(struct view *view, struct pool *pool, const struct meter *meter)
{
    struct pool_numbers *numbers = &view->numbers;
    const struct pool_books *books = &view->stats.books;

    pool_get_stats(pool, &view->stats);
    meter_sum_past(meter, numbers);
    numbers->cpu_ns += (uint64_t)pool_cpu_ns(pool);
    view->stats.books.queued += (unsigned)numbers->queued;
    view->stats.busy += (unsigned)numbers->running;
    view->submitted = books->queued + view->stats.busy;
    for (int i = 0; i < TASK_RESULT_COUNT; i++)
        view->submitted += numbers->results[i] += books->results[i];
    for (int i = 0; i < TASK_END_COUNT; i++)
        view->submitted += numbers->refused[i] += books->refused[i];
}

static void look(struct view *view, struct pool *pool, const struct meter *meter)
{
    metrics_label(&view->labels, "pool", pool_name(pool));
    look_at_books(view, pool, meter);
    for (unsigned i = 0; i < METERS_MAX_LOOPS; i++) {
        const struct pool_part *part = meter_part(meter, i);

        if (!part)
            continue;
        stats_buckets_sum(&part->wait, &view->wait);
        stats_buckets_sum(&part->run, &view->run);
    }
}

/* ---- gauges ---------------------------------------------------------------------------------- */

static uint64_t threads(const struct pool_stats *stats)
{
    return stats->threads;
}

static uint64_t busy(const struct pool_stats *stats)
{
    return stats->busy;
}

static uint64_t idle(const struct pool_stats *stats)
{
    return stats->idle;
}

static uint64_t queued(const struct pool_stats *stats)
{
    return stats->books.queued;
}

static uint64_t queue_depth(const struct pool_stats *stats)
{
    return stats->queue_depth;
}

static const struct {
    const char *name;
    const char *help;
    uint64_t (*value)(const struct pool_stats *stats);
} gauges[] = {
    {"handoffd_pool_threads", "Threads that the pool may have.", threads},
    {"handoffd_pool_threads_busy", "Threads that run a task.", busy},
    {"handoffd_pool_threads_idle", "Threads that exist and run nothing.", idle},
    {"handoffd_pool_queue_length", "Tasks that wait, for a thread or for their route's turn.",
     queued},
    {"handoffd_pool_queue_capacity", "Tasks that may wait for a thread.", queue_depth},
};

static void write_gauges(const struct view *views, size_t n, struct strbuf *out)
{
    for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++) {
        metrics_family(out, gauges[g].name, "gauge", gauges[g].help);
        for (size_t i = 0; i < n; i++)
            metrics_count(out, gauges[g].name, strbuf_cstr(&views[i].labels),
                          gauges[g].value(&views[i].stats));
    }
    metrics_family(out, "handoffd_pool_oldest_wait_seconds", "gauge",
                   "How long the task that waits longest has waited; 0 when none waits.");
    for (size_t i = 0; i < n; i++)
        metrics_seconds(out, "handoffd_pool_oldest_wait_seconds", strbuf_cstr(&views[i].labels),
                        (uint64_t)views[i].stats.oldest_wait_ns);
}

/* ---- counters and histograms ----------------------------------------------------------------- */

/* `more` is one more label, written out. */
static void count(struct strbuf *out, const char *name, const struct view *view, const char *label,
                  const char *value, uint64_t number)
{
    struct strbuf labels = {0};

    strbuf_add(&labels, view->labels.data, view->labels.len);
    metrics_label(&labels, label, value);
    metrics_count(out, name, strbuf_cstr(&labels), number);
    strbuf_free(&labels);
}

static void write_counters(const struct view *views, size_t n, struct strbuf *out)
{
    metrics_family(out, "handoffd_pool_tasks_submitted_total", "counter",
                   "Tasks that came to the pool: those that ran, were rejected, wait and run.");
    for (size_t i = 0; i < n; i++)
        metrics_count(out, "handoffd_pool_tasks_submitted_total", strbuf_cstr(&views[i].labels),
                      views[i].submitted);
    metrics_family(out, "handoffd_pool_tasks_total", "counter",
                   "Tasks that ran, by how they ended.");
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < TASK_RESULT_COUNT; k++)
            count(out, "handoffd_pool_tasks_total", &views[i], "result", pool_result_names[k],
                  views[i].numbers.results[k]);
    metrics_family(out, "handoffd_pool_rejected_total", "counter",
                   "Tasks that did not run, by the reason.");
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < TASK_END_COUNT; k++)
            if (reasons[k])
                count(out, "handoffd_pool_rejected_total", &views[i], "reason", reasons[k],
                      views[i].numbers.refused[k]);
    metrics_family(out, "handoffd_pool_task_cpu_seconds_total", "counter",
                   "CPU time of the pool's threads and of the programs that they ran.");
    for (size_t i = 0; i < n; i++)
        metrics_seconds(out, "handoffd_pool_task_cpu_seconds_total", strbuf_cstr(&views[i].labels),
                        views[i].numbers.cpu_ns);
}

static void write_histograms(const struct view *views, size_t n, struct strbuf *out)
{
    metrics_family(out, "handoffd_pool_queue_wait_seconds", "histogram",
                   "How long tasks that ran had waited for a thread.");
    for (size_t i = 0; i < n; i++)
        metrics_histogram(out, "handoffd_pool_queue_wait_seconds", strbuf_cstr(&views[i].labels),
                          &stats_bounds_fine, &views[i].wait);
    metrics_family(out, "handoffd_pool_task_duration_seconds", "histogram",
                   "How long tasks ran, without their wait.");
    for (size_t i = 0; i < n; i++)
        metrics_histogram(out, "handoffd_pool_task_duration_seconds", strbuf_cstr(&views[i].labels),
                          &stats_bounds_fine, &views[i].run);
}

void metrics_write_pools(const struct snapshot *snapshot, struct strbuf *out)
{
    size_t n = snapshot->conf->n_pools;
    struct view *views = calloc(n, sizeof *views);

    if (!views) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        look(&views[i], snapshot->pools[i], snapshot->pool_meters[i]);
    write_gauges(views, n, out);
    write_counters(views, n, out);
    write_histograms(views, n, out);
    for (size_t i = 0; i < n; i++)
        strbuf_free(&views[i].labels);
    free(views);
}
