/* DESIGN
 *
 * Pieces of memory that stand one behind the other leave in one sendmsg(2), ranges of files by
 * sendfile(2).  A call takes OUTPUT_TURN bytes at most, so that a client that reads as fast as the
 * daemon writes does not keep the loop for the length of a large file.
 *
 * Not an evbuffer: its sendfile has no limit for one call, and takes a file that has become shorter
 * for a socket that is full, for ever. */
#include "output.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OUTPUT_TURN = 1 << 20, OUTPUT_VECTOR = 32 };

struct output_file {
    int fd;
    unsigned refs;
};

struct piece {
    struct list link;
    uint64_t len; /* left */
    const char *data;
    off_t offset; /* of a file */
    struct output_file *file;
    void (*release)(void *arg, const char *data);
    void *arg;
    const char *start; /* what `release` is told */
};

void output_init(struct output *output, struct event_base *base, int fd,
                 void (*on_writable)(struct output *output))
{
    *output = (struct output){.base = base, .on_writable = on_writable, .fd = fd};
    list_init(&output->pieces);
}

static int add(struct output *output, const struct piece *piece)
{
    struct piece *copy;

    if (!piece->len) {
        if (piece->release)
            piece->release(piece->arg, piece->data);
        return 0;
    }
    copy = malloc(sizeof *copy);
    if (!copy)
        return -ENOMEM;
    *copy = *piece;
    copy->start = piece->data;
    output->pending += piece->len;
    list_add_tail(&output->pieces, &copy->link);
    return 0;
}

static void release_copy(void *arg, const char *data)
{
    (void)data;
    free(arg);
}

int output_add_copy(struct output *output, const char *data, size_t len)
{
    char *copy = malloc(len + !len);
    int r;

    if (!copy)
        return -ENOMEM;
    memcpy(copy, data, len);
    r = output_add_memory(output, copy, len, release_copy, copy);
    if (r)
        free(copy);
    return r;
}

int output_add_memory(struct output *output, const char *data, size_t len,
                      void (*release)(void *arg, const char *data), void *arg)
{
    return add(output, &(struct piece){.len = len, .data = data, .release = release, .arg = arg});
}

int output_add_file(struct output *output, struct output_file *file, int64_t offset, int64_t len)
{
    const struct piece piece = {.len = (uint64_t)len, .file = file, .offset = offset};
    int r = len ? add(output, &piece) : 0;

    if (!r && len)
        file->refs++;
    return r;
}

struct output_file *output_file_new(int fd)
{
    struct output_file *file = malloc(sizeof *file);

    if (file)
        *file = (struct output_file){fd, 1};
    return file;
}

void output_file_put(struct output_file *file)
{
    if (!file || --file->refs)
        return;
    close(file->fd);
    free(file);
}

static void free_piece(struct piece *piece)
{
    list_remove(&piece->link);
    if (piece->release)
        piece->release(piece->arg, piece->start);
    output_file_put(piece->file);
    free(piece);
}

static struct piece *first_piece(struct output *output)
{
    return container_of(output->pieces.next, struct piece, link);
}

/* `n` bytes have gone. */
static void advance(struct output *output, size_t n)
{
    output->pending -= n;
    while (n) {
        struct piece *piece = first_piece(output);
        size_t part = n < piece->len ? n : (size_t)piece->len;

        piece->len -= part;
        if (!piece->file)
            piece->data += part;
        n -= part;
        if (!piece->len)
            free_piece(piece);
    }
}

static ssize_t write_memory(struct output *output, size_t limit)
{
    struct iovec vector[OUTPUT_VECTOR];
    struct msghdr message = {.msg_iov = vector};
    size_t sum = 0;
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    struct list *link;

    list_for_each(link, &output->pieces) {
        struct piece *piece = container_of(link, struct piece, link);
        size_t len = piece->len < limit - sum ? (size_t)piece->len : limit - sum;

        if (piece->file)
            flags |= MSG_MORE; /* the head goes out together with the file's first bytes */
        if (piece->file || message.msg_iovlen == OUTPUT_VECTOR || !len)
            break;
        /* sendmsg(2) does not write to it. */
        vector[message.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)piece->data, len};
        sum += len;
    }
    return sendmsg(output->fd, &message, flags);
}

static ssize_t write_file(struct output *output, size_t limit)
{
    struct piece *piece = first_piece(output);
    size_t len = piece->len < limit ? (size_t)piece->len : limit;
    ssize_t n = sendfile(output->fd, piece->file->fd, &piece->offset, len);

    if (n)
        return n;
    errno = EIO; /* the file is shorter than it was */
    return -1;
}

static int write_some(struct output *output)
{
    size_t left = OUTPUT_TURN;

    while (left && output->pending) {
        ssize_t n =
            first_piece(output)->file ? write_file(output, left) : write_memory(output, left);

        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            advance(output, (size_t)n);
            left -= (size_t)n;
        }
    }
    return 0;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct output *output = arg;

    (void)fd;
    (void)what;
    output->on_writable(output);
}

static int begin_to_wait(struct output *output)
{
    struct event *event =
        event_new(output->base, output->fd, EV_WRITE | EV_PERSIST, on_event, output);

    if (!event || event_add(event, NULL)) {
        if (event)
            event_free(event);
        return -ENOMEM;
    }
    output->event = event;
    output->waiting = true;
    return 0;
}

static void end_waiting(struct output *output)
{
    event_free(output->event);
    output->event = NULL;
    output->waiting = false;
}

int output_write(struct output *output)
{
    int r = write_some(output);
    bool wait = !r && output->pending;

    if (wait && !output->waiting)
        return begin_to_wait(output);
    if (!wait && output->waiting)
        end_waiting(output);
    return r;
}

void output_clear(struct output *output)
{
    if (output->waiting)
        end_waiting(output);
    output->pending = 0;
    while (!list_empty(&output->pieces))
        free_piece(first_piece(output));
}
