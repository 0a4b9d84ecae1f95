/* starvation.h - notices pools whose threads do not suffice, and tells why and how many would.  The
 * main thread only. */
#ifndef HANDOFFD_STARVATION_H
#define HANDOFFD_STARVATION_H

#include "snapshot.h"
#include "str.h"

#include <stddef.h>
#include <stdint.h>

struct watched_pool;

struct starvation {
    struct watched_pool *pools;
    size_t n_pools;
    int64_t due_ns; /* when to look next; INT64_MAX: never */
};

/* To be called at `due_ns`, or sooner.  Logs what begins and what ends.  True: what
 * starvation_describe tells has changed. */
bool starvation_look(struct starvation *starvation, const struct snapshot *snapshot);

/* Adds what is to be said of starved pools to a status text; nothing when there are none. */
void starvation_describe(const struct starvation *starvation, struct strbuf *out);

void starvation_clear(struct starvation *starvation);

#endif
