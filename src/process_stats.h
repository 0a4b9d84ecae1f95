/* process_stats.h - what the kernel counts for this process.  Any thread. */
#ifndef HANDOFFD_PROCESS_STATS_H
#define HANDOFFD_PROCESS_STATS_H

#include "parse_num.h"

#include <stdint.h>

struct process_stats {
    double cpu_seconds;
    double start_time; /* seconds since 1970 */
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
    uint64_t threads;
    uint64_t open_fds;
    uint64_t max_fds; /* UINT64_MAX: no limit */
};

/* 0, or -errno when /proc cannot be read. */
int process_stats_read(struct process_stats *out) WARN_UNUSED;

#endif
