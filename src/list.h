/* list.h - an intrusive, doubly linked, circular list: no allocation, removal in one step.
 * A head is a link that points at itself when empty.  The caller does the locking. */
#ifndef HANDOFFD_LIST_H
#define HANDOFFD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct list *at, struct list *link)
{
    link->next = at;
    link->prev = at->prev;
    at->prev->next = link;
    at->prev = link;
}

static inline void list_add_tail(struct list *head, struct list *link)
{
    list_insert_before(head, link);
}

static inline void list_add_head(struct list *head, struct list *link)
{
    list_insert_before(head->next, link);
}

/* Leaves the removed link empty, so that removing it twice is harmless. */
static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

static inline struct list *list_pop_head(struct list *head)
{
    struct list *link = head->next;

    if (link == head)
        return NULL;
    list_remove(link);
    return link;
}

#define list_for_each(link, head) for (link = (head)->next; link != (head); link = link->next)

#define list_for_each_safe(link, tmp, head) \
    for (link = (head)->next, tmp = link->next; link != (head); link = tmp, tmp = link->next)

#endif
