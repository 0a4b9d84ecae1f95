/* beneath.h - opens names below a directory; nothing leads out of it, whatever links are there. */
#ifndef HANDOFFD_BENEATH_H
#define HANDOFFD_BENEATH_H

#include "parse_num.h"

#include <stdbool.h>
#include <sys/types.h>

/* As openat(2), close-on-exec, and without becoming a controlling terminal.  Neither "..", nor an
 * absolute link, nor one of /proc leads out of `dir`; without `links` there may be none at all.
 * The descriptor, or -errno: -EXDEV and -ELOOP are what a way out is answered with. */
int beneath_open(int dir, const char *path, int flags, mode_t mode, bool links) WARN_UNUSED;

#endif
