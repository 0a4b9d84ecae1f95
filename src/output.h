/* output.h - what a connection has still to write: pieces of memory and ranges of files, in order.
 * The loop's thread only. */
#ifndef HANDOFFD_OUTPUT_H
#define HANDOFFD_OUTPUT_H

#include "list.h"
#include "parse_num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;
struct output_file;

struct output {
    struct list pieces;
    uint64_t pending; /* bytes */
    struct event_base *base;
    struct event *event; /* while it waits for the socket to take more */
    void (*on_writable)(struct output *output);
    int fd;
    bool waiting;
};

/* For a socket.  `on_writable` is called when it takes more; it is to call output_write. */
void output_init(struct output *output, struct event_base *base, int fd,
                 void (*on_writable)(struct output *output));

/* Add a piece behind all others: a copy; memory that is released, by release(arg, data), once it has
 * been written or will never be; a range of a file.  0 or -ENOMEM, and then nothing is released. */
int output_add_copy(struct output *output, const char *data, size_t len) WARN_UNUSED;
int output_add_memory(struct output *output, const char *data, size_t len,
                      void (*release)(void *arg, const char *data), void *arg) WARN_UNUSED;
int output_add_file(struct output *output, struct output_file *file, int64_t offset,
                    int64_t len) WARN_UNUSED;

/* An open file, closed when the last range of it is written and the maker has put it.  NULL: out of
 * memory, and the descriptor is still the caller's. */
struct output_file *output_file_new(int fd);
void output_file_put(struct output_file *file);

/* Writes what the socket takes, up to a limit so that others get their turn; what is left goes on
 * when it is writable.  0; or -errno, -EIO when a file has become shorter: nothing more can be sent. */
int output_write(struct output *output) WARN_UNUSED;

/* Drops what is left. */
void output_clear(struct output *output);

#endif
