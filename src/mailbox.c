/* DESIGN
 *
 * A stack that is pushed by compare-and-swap and emptied whole by one exchange; taken whole, it
 * cannot suffer from reused addresses (ABA).  Reversed, it gives the order of posting.  Only the
 * push onto an empty stack writes the eventfd, so that a batch costs one system call: whoever
 * pushes onto a stack that is not empty knows that the owner still has that wake-up before it. */
#include "mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *box)
{
    atomic_init(&box->newest, NULL);
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return box->fd < 0 ? -errno : 0;
}

void mailbox_close(struct mailbox *box)
{
    if (box->fd >= 0)
        close(box->fd);
    box->fd = -1;
}

void mailbox_post(struct mailbox *box, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    int fd = box->fd;

    /* Release: what the poster wrote is there for whoever takes the mail out. */
    do
        mail->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, mail, memory_order_release,
                                                  memory_order_relaxed));
    if (!newest) {
        const uint64_t one = 1;

        /* Fails only when the counter is full, and then it wakes all the same. */
        while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
    }
}

size_t mailbox_deliver(struct mailbox *box)
{
    struct mail *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    size_t count = 0;

    while (newest) {
        struct mail *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    for (; oldest; count++) {
        struct mail *mail = oldest;

        oldest = mail->next;
        mail->deliver(mail);
    }
    return count;
}
