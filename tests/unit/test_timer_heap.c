/* timer_heap: against the plain way to find the earliest. */
#include "support.h"
#include "timer_heap.h"

#include <stdlib.h>

enum { NODES = 200, STEPS = 5000 };

static struct timer_node nodes[NODES];

static struct timer_node *earliest(void)
{
    struct timer_node *first = NULL;

    for (size_t i = 0; i < NODES; i++)
        if (nodes[i].place && (!first || nodes[i].at_ns < first->at_ns))
            first = &nodes[i];
    return first;
}

START_TEST(the_first_is_the_earliest)
{
    struct timer_heap heap = {0};
    unsigned seed = 12345;

    ck_assert_ptr_null(timer_heap_first(&heap));
    for (int i = 0; i < STEPS; i++) {
        struct timer_node *node = &nodes[(size_t)rand_r(&seed) % NODES];

        if (node->place) {
            timer_heap_remove(&heap, node);
            ck_assert_uint_eq(node->place, 0);
        } else {
            node->at_ns = rand_r(&seed) % 1000;
            ck_assert_int_eq(timer_heap_add(&heap, node), 0);
        }
        if (earliest())
            ck_assert_int_eq(timer_heap_first(&heap)->at_ns, earliest()->at_ns);
        else
            ck_assert_ptr_null(timer_heap_first(&heap));
    }
    for (size_t i = 0; i < NODES; i++)
        timer_heap_remove(&heap, &nodes[i]);
    ck_assert_uint_eq(heap.count, 0);
    timer_heap_clear(&heap);
}
END_TEST

START_TEST(removing_what_is_not_there_does_nothing)
{
    struct timer_heap heap = {0};
    struct timer_node in = {.at_ns = 1}, out = {.at_ns = 0};

    ck_assert_int_eq(timer_heap_add(&heap, &in), 0);
    timer_heap_remove(&heap, &out);
    ck_assert_ptr_eq(timer_heap_first(&heap), &in);
    timer_heap_remove(&heap, &in);
    timer_heap_remove(&heap, &in);
    ck_assert_uint_eq(heap.count, 0);
    timer_heap_clear(&heap);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_first_is_the_earliest,
                                  removing_what_is_not_there_does_nothing};

    return support_run("timer_heap", tests, COUNT_OF(tests));
}
