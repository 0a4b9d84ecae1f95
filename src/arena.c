#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_BLOCK_SIZE = 4096 };

struct arena_block {
    struct arena_block *next;
    _Alignas(ARENA_ALIGN) char memory[];
};

void arena_init(struct arena *arena, void *memory, size_t size)
{
    arena->at = memory;
    arena->end = size ? arena->at + size : arena->at; /* `memory` may be NULL then */
    arena->blocks = NULL;
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    arena->at = arena->end = NULL;
}

static char *align_up(char *p)
{
    return p + (-(uintptr_t)p & (ARENA_ALIGN - 1));
}

void *arena_alloc(struct arena *arena, size_t size)
{
    char *at = arena->at ? align_up(arena->at) : NULL;
    struct arena_block *block;
    size_t room;

    if (at && at <= arena->end && size <= (size_t)(arena->end - at)) {
        arena->at = at + size;
        return at;
    }
    if (size > SIZE_MAX - sizeof *block - ARENA_BLOCK_SIZE)
        return NULL;
    room = size > ARENA_BLOCK_SIZE / 2 ? size : ARENA_BLOCK_SIZE;
    block = malloc(sizeof *block + room);
    if (!block)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    /* A large piece gets a block of its own, and the rest of the current one stays in use. */
    if (room == ARENA_BLOCK_SIZE || !arena->at) {
        arena->at = block->memory + size;
        arena->end = block->memory + room;
    }
    return block->memory;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *copy = len < SIZE_MAX ? arena_alloc(arena, len + 1) : NULL;

    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}
