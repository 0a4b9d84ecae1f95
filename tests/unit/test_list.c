#include "list.h"
#include "support.h"

struct item {
    int before;
    struct list link;
    int number;
};

static void check_order(const struct list *head, const int *numbers, size_t count)
{
    struct list *link, *last = NULL;
    size_t i = 0;

    list_for_each(link, head) {
        ck_assert_uint_lt(i, count);
        ck_assert_int_eq(container_of(link, struct item, link)->number, numbers[i++]);
        last = link;
    }
    ck_assert_uint_eq(i, count);
    ck_assert_ptr_eq(head->prev, count ? last : head);
    for (link = head->prev; link != head; link = link->prev)
        ck_assert_int_eq(container_of(link, struct item, link)->number, numbers[--i]);
    ck_assert_uint_eq(i, 0);
}

START_TEST(links_are_added_at_both_ends_and_between)
{
    struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    struct list head;

    list_init(&head);
    ck_assert(list_empty(&head));
    check_order(&head, NULL, 0);
    list_add_tail(&head, &items[1].link);
    ck_assert(!list_empty(&head));
    list_add_tail(&head, &items[3].link);
    list_add_head(&head, &items[0].link);
    list_insert_before(&items[3].link, &items[2].link);
    check_order(&head, (const int[]){0, 1, 2, 3}, 4);
}
END_TEST

START_TEST(links_are_removed_anywhere_and_twice)
{
    struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct list head;

    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_add_tail(&head, &items[i].link);
    list_remove(&items[1].link);
    check_order(&head, (const int[]){0, 2}, 2);
    list_remove(&items[1].link);
    check_order(&head, (const int[]){0, 2}, 2);
    ck_assert(list_empty(&items[1].link));
    list_remove(&items[0].link);
    list_remove(&items[2].link);
    ck_assert(list_empty(&head));
    list_add_tail(&head, &items[1].link);
    check_order(&head, (const int[]){1}, 1);
}
END_TEST

START_TEST(heads_are_popped_in_order)
{
    struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct list head, *link;

    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_add_tail(&head, &items[i].link);
    for (int i = 0; i < 3; i++) {
        link = list_pop_head(&head);
        ck_assert_ptr_eq(link, &items[i].link);
        ck_assert(list_empty(link));
    }
    ck_assert_ptr_null(list_pop_head(&head));
    ck_assert(list_empty(&head));
}
END_TEST

START_TEST(safe_iteration_stands_removal)
{
    struct item items[6];
    struct list head, *link, *next;

    list_init(&head);
    for (int i = 0; i < 6; i++) {
        items[i].number = i;
        list_add_tail(&head, &items[i].link);
    }
    list_for_each_safe(link, next, &head) {
        if (container_of(link, struct item, link)->number % 2)
            list_remove(link);
    }
    check_order(&head, (const int[]){0, 2, 4}, 3);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        links_are_added_at_both_ends_and_between,
        links_are_removed_anywhere_and_twice,
        heads_are_popped_in_order,
        safe_iteration_stands_removal,
    };

    return support_run("list", tests, COUNT_OF(tests));
}
