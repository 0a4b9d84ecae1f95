/* stream_blocks.h - bytes on their way between a loop and a worker: a chain of blocks.
 * Not thread-safe: the streams that use it have a lock. */
#ifndef HANDOFFD_STREAM_BLOCKS_H
#define HANDOFFD_STREAM_BLOCKS_H

#include "parse_num.h"

#include <stddef.h>

enum {
    STREAM_BLOCK_MIN = 4 << 10,
    STREAM_BLOCK_MAX = 64 << 10,
    /* In front of the bytes and behind them, for the framing of a chunk (RFC 9112, 7.1). */
    STREAM_BLOCK_FRONT = 16,
    STREAM_BLOCK_BACK = 2,
};

struct stream_block {
    struct stream_block *next;
    void *owner;     /* free for whoever holds the block */
    size_t capacity; /* what it counts for against a limit, and what fits into it */
    size_t len;
    char memory[]; /* STREAM_BLOCK_FRONT, `capacity` bytes, STREAM_BLOCK_BACK */
};

static inline char *stream_block_data(struct stream_block *block)
{
    return block->memory + STREAM_BLOCK_FRONT;
}

struct stream_blocks {
    struct stream_block *first;
    struct stream_block *last;
    size_t size; /* sum of the capacities */
};

/* Adds a copy of the bytes, into the last block as far as they fit.  0 or -ENOMEM, and then nothing
 * or only a part has been added. */
int stream_blocks_add(struct stream_blocks *blocks, const char *data, size_t len) WARN_UNUSED;

/* Takes the first block out; free() it.  NULL: there is none. */
struct stream_block *stream_blocks_pop(struct stream_blocks *blocks);

void stream_blocks_clear(struct stream_blocks *blocks);

#endif
