/* small_memory.h - malloc(3) for a library that makes and frees the same few small blocks over and
 * over on one thread.
 *
 * Each thread keeps what it frees, by size, and takes it again; up to a bound, the rest goes back to
 * malloc.  Blocks are malloc's own: any thread may free them, and so may free(3).  What a thread keeps
 * is freed when it ends. */
#ifndef HANDOFFD_SMALL_MEMORY_H
#define HANDOFFD_SMALL_MEMORY_H

#include <stddef.h>

/* NULL with errno set when there is no memory.  Aligned as malloc's. */
void *small_alloc(size_t size);
void *small_realloc(void *block, size_t size);
void small_free(void *block);

/* How many blocks the calling thread keeps. */
size_t small_kept(void);

#endif
