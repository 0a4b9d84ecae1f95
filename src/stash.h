/* stash.h - bytes that have been read and wait for their turn. */
#ifndef HANDOFFD_STASH_H
#define HANDOFFD_STASH_H

#include "parse_num.h"

#include <stddef.h>

/* Zero-initialised is empty. */
struct stash {
    char *block; /* owned */
    size_t at;   /* where the bytes begin in it */
    size_t len;
    size_t size;
};

/* Adds bytes behind the others.  0 or -ENOMEM. */
int stash_add(struct stash *stash, const char *data, size_t len) WARN_UNUSED;

/* Takes bytes from the front; the memory goes with the last of them. */
void stash_take(struct stash *stash, size_t len);

/* Moves the bytes out: `*from` is empty then. */
struct stash stash_move(struct stash *from);

void stash_clear(struct stash *stash);

static inline const char *stash_bytes(const struct stash *stash)
{
    return stash->len ? stash->block + stash->at : "";
}

#endif
