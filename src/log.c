/* DESIGN
 *
 * A line is formatted into a buffer on the caller's stack and leaves in a single write(2): no lock,
 * no allocation, no mixing of lines.  A message that is too long is cut, never split.  Control
 * characters become '?', so that no text from outside can forge a second line. */
#include "log.h"

#include "clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static _Atomic int threshold = LOG_LEVEL_INFO;
static bool to_journal;

void log_init(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char *end = NULL;
    struct stat st;

    /* "DEVICE:INODE", both decimal. */
    to_journal = stream && fstat(STDERR_FILENO, &st) == 0 &&
                 strtoull(stream, &end, 10) == st.st_dev && *end == ':' &&
                 strtoull(end + 1, NULL, 10) == st.st_ino;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_NOTICE:
        return "notice";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        break;
    }
    return "debug";
}

static size_t put_prefix(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    if (to_journal)
        return (size_t)snprintf(line, size, "<%d>", (int)level);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(line, size, "%s.%03ldZ %s: ", stamp, now.tv_nsec / 1000000,
                            level_name(level));
}

/* Ends the line that starts at `start` and has `len` bytes after it (and room for one more). */
static void emit(char *line, size_t start, size_t len)
{
    size_t left = start + len + 1;

    for (size_t i = start; i < start + len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[start + len] = '\n';
    while (left) {
        ssize_t n = write(STDERR_FILENO, line, left);

        if (n < 0 && errno != EINTR)
            return;
        line += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
}

void log_writev(enum log_level level, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];
    size_t start, room, len;
    int saved_errno = errno;
    int n;

    if (level > log_get_level())
        return;
    start = put_prefix(line, sizeof line, level);
    room = sizeof line - start - 1;
    n = vsnprintf(line + start, room, fmt, ap);
    len = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    emit(line, start, len);
    errno = saved_errno;
}

void log_whole(enum log_level level, const char *text)
{
    size_t len = strlen(text);
    char prefix[128], *line;
    size_t start;

    if (level > log_get_level())
        return;
    start = put_prefix(prefix, sizeof prefix, level);
    line = malloc(start + len + 1);
    if (!line) {
        log_write(level, "%s", text);
        return;
    }
    memcpy(line, prefix, start);
    memcpy(line + start, text, len);
    emit(line, start, len);
    free(line);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_writev(level, fmt, ap);
    va_end(ap);
}

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
    int64_t now = clock_now_ns();
    int64_t next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    uint64_t held;
    char text[1024];
    va_list ap;

    if (level > log_get_level())
        return;
    if (now < next ||
        !atomic_compare_exchange_strong(&limit->next_ns, &next, now + limit->interval_ns)) {
        atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
        return;
    }
    held = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (held)
        log_write(level, "%s (%llu alike suppressed before)", text, (unsigned long long)held);
    else
        log_write(level, "%s", text);
}
