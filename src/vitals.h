/* vitals.h - what the program knows of itself as a whole.  Any thread. */
#ifndef HANDOFFD_VITALS_H
#define HANDOFFD_VITALS_H

#include "meters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct line_writer;

struct vitals {
    int64_t started_ns; /* CLOCK_MONOTONIC */
    time_t started_at;
    _Atomic bool draining;
    struct meters meters;
    struct line_writer *access_log; /* NULL: never written to */

    pthread_mutex_t lock; /* guards what follows */
    uint64_t reloads_ok;
    uint64_t reloads_failed;
    time_t last_reload_at; /* 0: none yet */
    bool last_reload_ok;
    char last_reload_text[256];
};

void vitals_init(struct vitals *vitals);
void vitals_destroy(struct vitals *vitals);

/* Notes how a reload ended; `text` is for people and may be cut. */
void vitals_note_reload(struct vitals *vitals, bool ok, const char *text);

#endif
