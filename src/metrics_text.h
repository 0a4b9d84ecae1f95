/* metrics_text.h - pieces of the Prometheus text format (version 0.0.4). */
#ifndef HANDOFFD_METRICS_TEXT_H
#define HANDOFFD_METRICS_TEXT_H

#include "stats.h"
#include "str.h"

#include <stdint.h>

/* The two lines before the samples of a metric; `type` is "counter", "gauge" or "histogram". */
void metrics_family(struct strbuf *out, const char *name, const char *type, const char *help);

/* A label with its value escaped, and a comma before it unless it is the first.  Bytes that are not
 * UTF-8, which the format demands, become %NN. */
void metrics_label(struct strbuf *labels, const char *name, const char *value);

/* A sample; `labels` are those of metrics_label, "" for none. */
void metrics_count(struct strbuf *out, const char *name, const char *labels, uint64_t value);
void metrics_number(struct strbuf *out, const char *name, const char *labels, double value);
/* Nanoseconds, as seconds. */
void metrics_seconds(struct strbuf *out, const char *name, const char *labels, uint64_t ns);

/* All samples of one histogram. */
void metrics_histogram(struct strbuf *out, const char *name, const char *labels,
                       const struct stats_bounds *bounds, const struct stats_buckets_sum *sum);

#endif
