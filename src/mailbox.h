/* mailbox.h - letters from any thread to one thread that polls a descriptor.
 *
 * Posting takes no lock and never blocks.  The owner waits for `fd` with edge-triggered polling and
 * never reads it; each edge means that the mailbox was empty and is not any more. */
#ifndef HANDOFFD_MAILBOX_H
#define HANDOFFD_MAILBOX_H

#include "parse_num.h"

#include <stdatomic.h>
#include <stddef.h>

struct mail {
    struct mail *next;
    void (*deliver)(struct mail *mail); /* called on the owner's thread; may free the mail */
};

struct mailbox {
    _Atomic(struct mail *) newest;
    int fd; /* eventfd(2) */
};

/* 0 or -errno of eventfd(2). */
int mailbox_init(struct mailbox *box) WARN_UNUSED;
/* Nobody may post any more, and everything must have been delivered. */
void mailbox_close(struct mailbox *box);

/* Any thread.  The mail belongs to the owner's thread from now on, even before this returns. */
void mailbox_post(struct mailbox *box, struct mail *mail);

/* Owner's thread: delivers all that was posted, oldest first, and returns how many. */
size_t mailbox_deliver(struct mailbox *box);

#endif
