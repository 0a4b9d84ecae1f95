/* line_sink.h - where lines go: a file, standard error, the journal, or nowhere. */
#ifndef HANDOFFD_LINE_SINK_H
#define HANDOFFD_LINE_SINK_H

#include "parse_num.h"

#include <stddef.h>

struct line_sink;

/* "off", "stderr", "journal", or a file to append to, made with mode 0640 if need be.  NULL with
 * errno set. */
struct line_sink *line_sink_open(const char *place);

/* Writes whole lines; may block.  0 or -errno; -ENOTSUP: built without the journal. */
int line_sink_write(struct line_sink *sink, const char *lines, size_t len) WARN_UNUSED;

/* NULL is allowed. */
void line_sink_free(struct line_sink *sink);

#endif
