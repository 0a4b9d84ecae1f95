/* journal.h - messages with structured fields for systemd's journal.  Any thread. */
#ifndef HANDOFFD_JOURNAL_H
#define HANDOFFD_JOURNAL_H

#include "parse_num.h"

#include <stddef.h>
#include <sys/uio.h>

/* Hands over one message: every element is "FIELD=value", without an end.  0, or -errno when there is
 * no journal or this program was built without it.  Waits while the journal is behind. */
int journal_send(const struct iovec *fields, size_t n) WARN_UNUSED;

/* Tests put a journal of their own in its place; NULL: systemd's. */
void journal_replace(int (*send)(const struct iovec *fields, int n));

#endif
