/* snapshot.h - a configuration in force: what was read, and the pools and addresses that go with it.
 *
 * Immutable and reference-counted: every request holds a reference to the snapshot it began with, so
 * a reload swaps one pointer and disturbs nobody. */
#ifndef HANDOFFD_SNAPSHOT_H
#define HANDOFFD_SNAPSHOT_H

#include "conf.h"
#include "pool.h"
#include "vitals.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What a loop holds of a snapshot; it alone writes to it. */
struct snapshot_uses {
    _Alignas(64) size_t count;
};

struct snapshot {
    _Atomic unsigned refs;
    struct conf *conf;   /* owned */
    struct pool **pools; /* one for each of conf->pools; references */
    struct lane **lanes; /* one for each of conf->routes; references; NULL for loop actions */
    char **bound;        /* for each of conf->listeners the address as bound; owned */
    uint64_t generation; /* 1 at start, one more with each reload */
    time_t loaded_at;
    struct vitals *vitals;       /* outlives every snapshot */
    struct meter **route_meters; /* one for each of conf->routes; the vitals', like all meters */
    struct meter *no_route_meter;
    struct meter **pool_meters;
    struct meter **listener_meters;
    struct snapshot_uses uses[METERS_MAX_LOOPS];
};

/* Takes `conf` over; `pools`, `lanes` and `bound` are filled in by the caller before it is shared.  NULL: out
 * of memory, and `conf` is still the caller's. */
struct snapshot *snapshot_new(struct conf *conf, struct vitals *vitals);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
/* Any thread; the last one frees it.  NULL is allowed. */
void snapshot_unref(struct snapshot *snapshot);

/* The same on the thread of that loop.  All uses of a loop are one reference, so that loops do not
 * write to the same cache line with each request. */
struct snapshot *snapshot_use(struct snapshot *snapshot, unsigned loop);
void snapshot_done(struct snapshot *snapshot, unsigned loop);

#endif
