/* guard_transcript.h - what the guard makes of bytes that are fed to it in pieces, as text. */
#ifndef HANDOFFD_TEST_GUARD_TRANSCRIPT_H
#define HANDOFFD_TEST_GUARD_TRANSCRIPT_H

#include "guard.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the next piece, 1 to `left`. */
typedef size_t guard_cut(void *arg, size_t left);

size_t guard_cut_none(void *arg, size_t left);
size_t guard_cut_bytes(void *arg, size_t left);
/* `arg` is a size_t: cuts once, behind so many bytes, and sets it to 0. */
size_t guard_cut_once(void *arg, size_t left);
/* `arg` is the state of a generator: a uint64_t that is not 0. */
size_t guard_cut_random(void *arg, size_t left);

struct guard_transcript {
    struct strbuf events; /* "GET / @host; body=hello; end; "; all fields when `full` */
    enum guard_fault_id fault;
    unsigned status; /* of the fault */
    size_t used;     /* bytes up to the fault, or all */
    size_t requests; /* complete ones */
    enum guard_phase phase;
};

/* Feeds the bytes in pieces, each in memory of its own.  Checks on the way what must hold for any
 * input, and aborts if it does not: slices within their bounds, names and values clean, fields as a
 * plain split of the head finds them.  Free it with guard_transcript_free. */
void guard_transcribe(struct guard_transcript *to, const struct guard_limits *limits,
                      const char *data, size_t len, bool full, guard_cut *cut, void *arg);
void guard_transcript_free(struct guard_transcript *transcript);

uint64_t guard_random(uint64_t *state);

/* An allocator for guard_set_allocator that counts. */
extern struct guard_memory {
    size_t live, peak; /* bytes */
    size_t calls;      /* allocations and changes of size */
    size_t moved;      /* bytes that a change of size may have copied */
    size_t fail_at;    /* this call fails; 0: none */
} guard_memory;

void *guard_memory_resize(void *memory, size_t size);

#endif
