/* mime.h - media types by file name extension.  Built once; then read only, any thread. */
#ifndef HANDOFFD_MIME_H
#define HANDOFFD_MIME_H

#include "parse_num.h"

struct mime_table;

/* Reads a file in the form of mime.types(5): a type, then its extensions.  0, -ENOMEM, or another
 * -errno when the file cannot be read; the caller frees the result. */
int mime_load(const char *path, struct mime_table **out) WARN_UNUSED;

/* The types that the web is made of, for systems without such a file.  NULL: out of memory. */
struct mime_table *mime_builtin(void);

void mime_free(struct mime_table *table);

/* The type of a file by the last extension of its name; NULL: there is none, or it is unknown. */
const char *mime_find(const struct mime_table *table, const char *name);

#endif
