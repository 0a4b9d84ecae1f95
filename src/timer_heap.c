#include "timer_heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static void put(struct timer_heap *heap, size_t place, struct timer_node *node)
{
    heap->nodes[place] = node;
    node->place = place;
}

static void move_up(struct timer_heap *heap, struct timer_node *node)
{
    size_t place = node->place;

    for (; place > 1 && heap->nodes[place / 2]->at_ns > node->at_ns; place /= 2)
        put(heap, place, heap->nodes[place / 2]);
    put(heap, place, node);
}

static void move_down(struct timer_heap *heap, struct timer_node *node)
{
    size_t place = node->place, child;

    for (; (child = place * 2) <= heap->count; place = child) {
        if (child < heap->count && heap->nodes[child + 1]->at_ns < heap->nodes[child]->at_ns)
            child++;
        if (heap->nodes[child]->at_ns >= node->at_ns)
            break;
        put(heap, place, heap->nodes[child]);
    }
    put(heap, place, node);
}

int timer_heap_add(struct timer_heap *heap, struct timer_node *node)
{
    if (heap->count + 1 >= heap->room) {
        size_t room = heap->room ? heap->room * 2 : 16;
        struct timer_node **nodes = reallocarray(heap->nodes, room, sizeof(struct timer_node *));

        if (!nodes)
            return -ENOMEM;
        heap->nodes = nodes;
        heap->room = room;
    }
    put(heap, ++heap->count, node);
    move_up(heap, node);
    return 0;
}

void timer_heap_remove(struct timer_heap *heap, struct timer_node *node)
{
    size_t place = node->place;
    struct timer_node *last;

    if (!place)
        return;
    last = heap->nodes[heap->count--];
    node->place = 0;
    if (last == node)
        return;
    put(heap, place, last);
    move_up(heap, last);
    move_down(heap, last);
}

struct timer_node *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count ? heap->nodes[1] : NULL;
}

void timer_heap_clear(struct timer_heap *heap)
{
    free(heap->nodes);
    *heap = (struct timer_heap){0};
}
