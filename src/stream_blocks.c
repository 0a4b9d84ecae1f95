#include "stream_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct stream_block *new_block(size_t wanted)
{
    size_t capacity = wanted < STREAM_BLOCK_MIN ? STREAM_BLOCK_MIN : wanted;
    struct stream_block *block;

    if (capacity > STREAM_BLOCK_MAX)
        capacity = STREAM_BLOCK_MAX;
    block = malloc(sizeof *block + STREAM_BLOCK_FRONT + capacity + STREAM_BLOCK_BACK);
    if (!block)
        return NULL;
    *block = (struct stream_block){.capacity = capacity};
    return block;
}

int stream_blocks_add(struct stream_blocks *blocks, const char *data, size_t len)
{
    while (len) {
        struct stream_block *last = blocks->last;
        size_t n;

        if (!last || last->len == last->capacity) {
            last = new_block(len);
            if (!last)
                return -ENOMEM;
            if (blocks->last)
                blocks->last->next = last;
            else
                blocks->first = last;
            blocks->last = last;
            blocks->size += last->capacity;
        }
        n = last->capacity - last->len < len ? last->capacity - last->len : len;
        memcpy(stream_block_data(last) + last->len, data, n);
        last->len += n;
        data += n;
        len -= n;
    }
    return 0;
}

struct stream_block *stream_blocks_pop(struct stream_blocks *blocks)
{
    struct stream_block *block = blocks->first;

    if (!block)
        return NULL;
    blocks->first = block->next;
    if (!blocks->first)
        blocks->last = NULL;
    blocks->size -= block->capacity;
    block->next = NULL;
    return block;
}

void stream_blocks_clear(struct stream_blocks *blocks)
{
    struct stream_block *block;

    while ((block = stream_blocks_pop(blocks)))
        free(block);
}
