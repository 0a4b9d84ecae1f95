/* arena.h - memory that lives as long as one request: bump allocation, freed in one go.
 * Not thread-safe; an arena belongs to whoever owns its request. */
#ifndef HANDOFFD_ARENA_H
#define HANDOFFD_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    char *at;
    char *end;
    struct arena_block *blocks;
};

/* Starts with `memory` (the caller's, `size` bytes) before it asks malloc. */
void arena_init(struct arena *arena, void *memory, size_t size);

/* Frees every block; the initial memory stays the caller's. */
void arena_clear(struct arena *arena);

/* 16-byte aligned, not zeroed; NULL when memory has run out. */
void *arena_alloc(struct arena *arena, size_t size);

/* A NUL-terminated copy of `len` bytes; NULL when memory has run out. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);

#endif
