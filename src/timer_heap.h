/* timer_heap.h - which of many deadlines is next: a binary heap of nodes that live in their owners.
 * Not thread-safe. */
#ifndef HANDOFFD_TIMER_HEAP_H
#define HANDOFFD_TIMER_HEAP_H

#include "parse_num.h"

#include <stddef.h>
#include <stdint.h>

struct timer_node {
    int64_t at_ns;
    size_t place; /* from 1; 0: in no heap */
};

struct timer_heap {
    struct timer_node **nodes; /* [0] is unused */
    size_t count;
    size_t room;
};

/* The node must be in no heap, its at_ns set.  0 or -ENOMEM. */
int timer_heap_add(struct timer_heap *heap, struct timer_node *node) WARN_UNUSED;

/* Nothing when the node is in no heap. */
void timer_heap_remove(struct timer_heap *heap, struct timer_node *node);

/* The earliest; NULL: none. */
struct timer_node *timer_heap_first(const struct timer_heap *heap);

/* Frees the heap's own memory; it must be empty. */
void timer_heap_clear(struct timer_heap *heap);

#endif
