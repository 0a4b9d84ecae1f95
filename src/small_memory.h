/* small_memory.h - malloc(3) for a library that makes and frees the same few small blocks over and
 * over on one thread.
 *
 * Each thread keeps what it frees, by size, and takes it again; up to a bound, the rest goes back to
 * malloc.  Blocks are malloc's own: any thread may free them, and so may free(3).  What a thread keeps
 * is freed when it ends. */
#ifndef HANDOFFD_SMALL_MEMORY_H
#define HANDOFFD_SMALL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* NULL with errno set when there is no memory.  Aligned as malloc's. */
void *small_alloc(size_t size);
void *small_realloc(void *block, size_t size);
void small_free(void *block);

/* Sees to it that the calling thread's next `n` calls for up to SMALL_MOST bytes succeed, whatever
 * malloc says: for a library that does not survive a refusal in the middle of something.  False: there
 * is no memory for that. */
enum { SMALL_MOST = 1032 };
bool small_secure(unsigned n);

/* How many blocks the calling thread keeps. */
size_t small_kept(void);

#endif
