/* DESIGN
 *
 * evhttp makes and frees some twenty small blocks for each request, a fifth of all instructions of an
 * answer from the loop when malloc does it.  Here it is a pop from a list of the thread's own.
 *
 * Sizes go by classes of 16 bytes, 8 more than a multiple, which is what glibc's malloc makes of any
 * size.  The class of a block that is freed follows from malloc_usable_size(3), so that a block has no
 * header of ours and can be given to realloc(3) and free(3).
 *
 * A thread may have some blocks of the largest class set aside, which it takes only when malloc has
 * none.
 *
 * Under a sanitizer nothing is kept: it is to see every use behind a free.  Tests of what happens
 * without memory are built the same way (SMALL_MEMORY_KEEPS_NONE), so that every call may fail. */
#include "small_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(SMALL_MEMORY_KEEPS_NONE)
enum { KEPT_PER_CLASS = 0 };
#else
enum { KEPT_PER_CLASS = 128 };
#endif

enum { CLASSES = 64, STEP = 16, OFFSET = 8 };
enum { LEAST = STEP + OFFSET }; /* what malloc makes of anything smaller */
_Static_assert(SMALL_MOST >= (CLASSES - 1) * STEP + OFFSET, "a block set aside does for any class");

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
static _Thread_local struct class set_aside;

/* Its destructor frees what a thread keeps. */
static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int known;

static void push(struct class *class, struct kept *block)
{
    block->next = class->first;
    class->first = block;
    class->count++;
}

/* NULL: there is none. */
static struct kept *pop(struct class *class)
{
    struct kept *block = class->first;

    if (block) {
        class->first = block->next;
        class->count--;
    }
    return block;
}

static void free_kept(void *unused)
{
    struct kept *block;

    (void)unused;
    known = 0;
    for (size_t i = 0; i < CLASSES; i++)
        while ((block = pop(&classes[i])))
            free(block);
    while ((block = pop(&set_aside)))
        free(block);
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
    block = pop(&classes[i]);
    if (block) {
        total--;
        return block;
    }
    block = malloc(i * STEP + OFFSET);
    if (!block)
        block = pop(&set_aside);
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
    push(&classes[i], freed);
    total++;
}

bool small_secure(unsigned n)
{
    while (set_aside.count < n) {
        struct kept *block = malloc(SMALL_MOST);

        if (!block)
            break;
        push(&set_aside, block);
    }
    if (!known)
        know_thread();
    return set_aside.count >= n;
}

void *small_realloc(void *block, size_t size)
{
    return block ? realloc(block, size) : small_alloc(size);
}

size_t small_kept(void)
{
    return total;
}
