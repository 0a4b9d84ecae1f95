/* file_etag.h - the entity tag of a file (RFC 9110, 8.8.3).  Any thread. */
#ifndef HANDOFFD_FILE_ETAG_H
#define HANDOFFD_FILE_ETAG_H

#include "arena.h"

#include <sys/stat.h>

/* A strong one, in its quotes, of the file's number, size and both times, to the nanosecond: none of
 * them changes without a change of the file, and a change that none of them shows would have to come
 * within a tick of the kernel's clock.  `coding` is that of the content, or NULL.
 * NULL: out of memory. */
const char *file_etag(struct arena *arena, const struct stat *st, const char *coding);

#endif
