/* DESIGN
 *
 * evhttp makes and frees some twenty small blocks for each request, a fifth of all instructions of an
 * answer from the loop when malloc does it.  Here it is a pop from a list of the thread's own.
 *
 * Sizes go by classes of 16 bytes, 8 more than a multiple, which is what glibc's malloc makes of any
 * size.  The class of a block that is freed follows from malloc_usable_size(3), so that a block has no
 * header of ours and can be given to realloc(3) and free(3).
 *
 * Under a sanitizer nothing is kept: it is to see every use behind a free. */
#include "small_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KEPT_PER_CLASS = 0 };
#else
enum { KEPT_PER_CLASS = 128 };
#endif

enum { CLASSES = 64, STEP = 16, OFFSET = 8 };
enum { LEAST = STEP + OFFSET }; /* what malloc makes of anything smaller */

struct kept {
    struct kept *next;
};

struct class
{
    struct kept *first;
    unsigned count;
};

static _Thread_local struct class classes[CLASSES];
static _Thread_local size_t total;

/* Its destructor frees what a thread keeps. */
static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int known;

static void free_kept(void *unused)
{
    (void)unused;
    known = 0;
    for (size_t i = 0; i < CLASSES; i++)
        while (classes[i].first) {
            struct kept *block = classes[i].first;

            classes[i].first = block->next;
            free(block);
        }
    for (size_t i = 0; i < CLASSES; i++)
        classes[i].count = 0;
    total = 0;
}

static void make_key(void)
{
    (void)!pthread_key_create(&at_end, free_kept);
}

/* A thread that keeps something is known to the destructor. */
static void know_thread(void)
{
    pthread_once(&once, make_key);
    known = pthread_setspecific(at_end, classes) == 0;
}

void *small_alloc(size_t size)
{
    size_t i = ((size > LEAST ? size : LEAST) - OFFSET + STEP - 1) / STEP;
    struct kept *block;

    if (i >= CLASSES)
        return malloc(size);
    block = classes[i].first;
    if (!block)
        return malloc(i * STEP + OFFSET);
    classes[i].first = block->next;
    classes[i].count--;
    total--;
    return block;
}

void small_free(void *block)
{
    struct kept *freed = block;
    size_t i;

    if (!block)
        return;
    i = (malloc_usable_size(block) - OFFSET) / STEP;
    if (!known)
        know_thread();
    if (i >= CLASSES || classes[i].count + 1 > KEPT_PER_CLASS || !known) {
        free(block);
        return;
    }
    freed->next = classes[i].first;
    classes[i].first = freed;
    classes[i].count++;
    total++;
}

void *small_realloc(void *block, size_t size)
{
    return block ? realloc(block, size) : small_alloc(size);
}

size_t small_kept(void)
{
    return total;
}
