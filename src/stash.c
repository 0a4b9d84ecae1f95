#include "stash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stash_add(struct stash *stash, const char *data, size_t len)
{
    if (stash->at) {
        memmove(stash->block, stash->block + stash->at, stash->len);
        stash->at = 0;
    }
    if (len > stash->size - stash->len) {
        size_t size = stash->len + len;
        char *bigger = realloc(stash->block, size);

        if (!bigger)
            return -ENOMEM;
        stash->block = bigger;
        stash->size = size;
    }
    if (len)
        memcpy(stash->block + stash->len, data, len);
    stash->len += len;
    return 0;
}

void stash_take(struct stash *stash, size_t len)
{
    stash->at += len;
    stash->len -= len;
    if (!stash->len)
        stash_clear(stash);
}

struct stash stash_move(struct stash *from)
{
    struct stash moved = *from;

    *from = (struct stash){0};
    return moved;
}

void stash_clear(struct stash *stash)
{
    free(stash->block);
    *stash = (struct stash){0};
}
