/* Feeds the guard any bytes, whole and in pieces, under generous and under tight limits.  However
 * they are cut, the events must be the same; guard_transcribe checks each of them besides.  The
 * cuts are drawn from the bytes, so a file of the corpus is the plain text of a connection. */
#include "guard_transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct guard_limits settings[] = {
    {.max_head = 8192, .max_fields = 100, .max_trailer = 4096, .max_body = 1 << 20},
    {.max_head = 64, .max_fields = 3, .max_trailer = 16, .max_body = 8},
};

enum { RANDOM_CUTS = 2, BOOKKEEPING = 512 };

static uint64_t hash(const char *data, size_t len)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)data[i]) * UINT64_C(1099511628211);
    return h ? h : 1;
}

static void compare(const struct guard_transcript *whole, const struct guard_limits *limits,
                    const char *data, size_t len, guard_cut *cut, void *arg)
{
    struct guard_transcript pieces;

    guard_transcribe(&pieces, limits, data, len, true, cut, arg);
    if (whole->fault != pieces.fault || whole->used != pieces.used ||
        whole->phase != pieces.phase || whole->requests != pieces.requests ||
        whole->events.len != pieces.events.len ||
        memcmp(strbuf_cstr(&whole->events), strbuf_cstr(&pieces.events), whole->events.len) != 0) {
        fprintf(stderr, "whole:  %s (fault %d at %zu)\npieces: %s (fault %d at %zu)\n",
                strbuf_cstr(&whole->events), (int)whole->fault, whole->used,
                strbuf_cstr(&pieces.events), (int)pieces.fault, pieces.used);
        abort();
    }
    guard_transcript_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    uint64_t random = hash(bytes, size);

    guard_set_allocator(guard_memory_resize);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct guard_transcript whole;

        guard_memory = (struct guard_memory){0};
        guard_transcribe(&whole, &settings[i], bytes, size, true, guard_cut_none, NULL);
        compare(&whole, &settings[i], bytes, size, guard_cut_bytes, NULL);
        for (int n = 0; n < RANDOM_CUTS; n++)
            compare(&whole, &settings[i], bytes, size, guard_cut_random, &random);
        guard_transcript_free(&whole);
        if (guard_memory.live ||
            guard_memory.peak >
                settings[i].max_head + BOOKKEEPING + sizeof(struct guard_field) * GUARD_FIELDS_MAX)
            abort();
    }
    return 0;
}
