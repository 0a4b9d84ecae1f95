/* metrics.h - everything that is counted, in the Prometheus text format. */
#ifndef HANDOFFD_METRICS_H
#define HANDOFFD_METRICS_H

#include "snapshot.h"
#include "str.h"

/* Any thread.  `out->failed` tells that memory has run out. */
void metrics_write(const struct snapshot *snapshot, struct strbuf *out);

/* The parts, metrics_pools.c: */
void metrics_write_pools(const struct snapshot *snapshot, struct strbuf *out);

#endif
