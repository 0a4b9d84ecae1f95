#include "line_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

enum kind { NOWHERE, STDERR, JOURNAL, IN_FILE };

struct line_sink {
    enum kind kind;
    int fd; /* of a file */
};

static enum kind kind_of(const char *place)
{
    if (!strcmp(place, "off"))
        return NOWHERE;
    if (!strcmp(place, "stderr"))
        return STDERR;
    return strcmp(place, "journal") ? IN_FILE : JOURNAL;
}

/* A named pipe that nobody reads is an error at once rather than a wait. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

    if (fd >= 0)
        fcntl(fd, F_SETFL, O_WRONLY | O_APPEND);
    return fd;
}

struct line_sink *line_sink_open(const char *place)
{
    struct line_sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return NULL;
    sink->kind = kind_of(place);
    sink->fd = sink->kind == IN_FILE ? open_file(place) : -1;
    if (sink->kind != IN_FILE || sink->fd >= 0)
        return sink;
    free(sink);
    return NULL;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Calls `put` for as many lines at a time as fit into `most` bytes, one at least. */
static int for_lines(const char *lines, size_t len, size_t most,
                     int (*put)(const char *lines, size_t len))
{
    int r = 0;

    while (len && !r) {
        const char *end = NULL;
        size_t n = len;

        if (len > most)
            end = memrchr(lines, '\n', most);
        if (len > most && !end)
            end = memchr(lines + most, '\n', len - most);
        if (end)
            n = (size_t)(end - lines) + 1;
        r = put(lines, n);
        lines += n;
        len -= n;
    }
    return r;
}

static int put_stderr(const char *lines, size_t len)
{
    return write_all(STDERR_FILENO, lines, len);
}

static int put_journal(const char *line, size_t len)
{
#ifdef HAVE_SYSTEMD
    return sd_journal_send("MESSAGE=%.*s", (int)len - 1, line, "PRIORITY=6",
                           "SYSLOG_IDENTIFIER=handoffd", NULL);
#else
    (void)line;
    (void)len;
    return -ENOTSUP;
#endif
}

int line_sink_write(struct line_sink *sink, const char *lines, size_t len)
{
    switch (sink->kind) {
    case NOWHERE:
        break;
    case STDERR:
        /* What is no longer than PIPE_BUF is not torn apart by what others write to the pipe. */
        return for_lines(lines, len, PIPE_BUF, put_stderr);
    case JOURNAL:
        return for_lines(lines, len, 1, put_journal);
    case IN_FILE:
        return write_all(sink->fd, lines, len);
    }
    return 0;
}

void line_sink_free(struct line_sink *sink)
{
    if (sink && sink->fd >= 0)
        close(sink->fd);
    free(sink);
}
