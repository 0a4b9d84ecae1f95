/* line_writer.h - lines from several threads to one place, by a thread of its own.
 *
 * Adding a line never blocks and takes no lock: it is copied into a ring that belongs to its source.
 * When a ring is full, because the place takes lines more slowly than they come, the line is dropped
 * and counted. */
#ifndef HANDOFFD_LINE_WRITER_H
#define HANDOFFD_LINE_WRITER_H

#include "parse_num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_writer;
struct line_target;

/* Each source is one thread. */
enum { LINE_WRITER_MAX_SOURCES = 64, LINE_RING_SIZE = 1 << 20 };

struct line_writer_counts {
    uint64_t written;
    uint64_t dropped; /* for want of room, or because writing failed */
};

/* `failed` is called on the writer's thread with the errno of a write.  NULL: out of memory. */
struct line_writer *line_writer_new(void (*failed)(int error));

/* Starts the thread, named "lines"; nothing if it runs already.  0 or -errno of pthread_create(3).  The
 * main thread only. */
int line_writer_start(struct line_writer *writer) WARN_UNUSED;

/* Where lines go, opened as line_sink.h has it.  NULL with errno set. */
struct line_target *line_target_open(const char *place);
/* NULL is allowed. */
void line_target_free(struct line_target *target);

/* Lines that are added from now on go to `target`, which the writer frees; those added before go to the
 * one before.  The main thread only. */
void line_writer_set_target(struct line_writer *writer, struct line_target *target);

/* By the source's own thread: adds a line, which ends with its only line feed.  False: dropped. */
bool line_writer_add(struct line_writer *writer, unsigned source, const char *line, size_t len);

/* By the same, once for all lines that were added just now: sees to it that they are written soon. */
void line_writer_kick(struct line_writer *writer, unsigned source);

/* Any thread. */
void line_writer_get_counts(const struct line_writer *writer, struct line_writer_counts *out);

/* When nobody adds lines any more: writes what there is, ends the thread, frees everything.  NULL is
 * allowed.  False: the place takes nothing and was given up after a while, with the lines that were
 * left and the memory. */
bool line_writer_free(struct line_writer *writer);

#endif
