/* DESIGN
 *
 * A line is formatted into a buffer on the caller's stack and leaves in a single write(2) or, for the
 * journal, a single datagram: no allocation, no mixing of lines.  A pipe takes lines longer than
 * PIPE_BUF, which only log_whole writes, in pieces; a lock keeps others from coming between.  Nobody
 * waits for it who would not wait for the same pipe.  A message that is too long is cut, never split.
 * Control characters become '?', so that no text from outside can forge a second line. */
#include "log.h"

#include "clock.h"
#include "journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, FIELD_MAX_BYTES = 512, MAX_FIELDS = 10 };

static const char message_field[] = "MESSAGE=";

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic enum { TO_STDERR, TO_JOURNAL, TO_JOURNAL_STREAM } destination;

void log_init(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char *end = NULL;
    struct stat st;

    /* "DEVICE:INODE", both decimal. */
    if (stream && fstat(STDERR_FILENO, &st) == 0 && strtoull(stream, &end, 10) == st.st_dev &&
        *end == ':' && strtoull(end + 1, NULL, 10) == st.st_ino)
        destination = TO_JOURNAL;
    else
        destination = TO_STDERR;
}

void log_prepare_exit(void)
{
    if (destination == TO_JOURNAL)
        destination = TO_JOURNAL_STREAM;
}

bool log_is_journal(void)
{
    return destination != TO_STDERR;
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

    if (log_is_journal())
        return (size_t)snprintf(line, size, "%s", message_field);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(line, size, "%s.%03ldZ %s: ", stamp, now.tv_nsec / 1000000,
                            level_name(level));
}

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

static void write_all(const char *text, size_t len)
{
    pthread_mutex_lock(&writing);
    while (len) {
        ssize_t n = write(STDERR_FILENO, text, len);

        if (n < 0 && errno != EINTR)
            break;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_unlock(&writing);
}

/* ---- the journal ----------------------------------------------------------------------------- */

struct fields {
    struct iovec iov[MAX_FIELDS];
    size_t n;
    char text[FIELD_MAX_BYTES * 4];
    size_t used;
};

static void add_field(struct fields *fields, const char *name, const char *value)
{
    char *at = fields->text + fields->used;
    size_t room = sizeof fields->text - fields->used;
    int len;

    if (!value)
        return;
    room = room < FIELD_MAX_BYTES ? room : FIELD_MAX_BYTES;
    len = snprintf(at, room, "%s=%s", name, value);
    if (len < 0 || room < 2)
        return;
    len = (size_t)len < room ? len : (int)room - 1; /* a long one is cut */
    fields->iov[fields->n++] = (struct iovec){at, (size_t)len};
    fields->used += (size_t)len + 1;
}

static void add_number(struct fields *fields, const char *name, int value)
{
    char digits[16];

    snprintf(digits, sizeof digits, "%d", value);
    add_field(fields, name, digits);
}

static int send_to_journal(const struct log_origin *origin, const struct log_subject *subject,
                           enum log_level level, char *message, size_t len)
{
    struct fields fields = {.iov = {{message, len}}, .n = 1};

    add_number(&fields, "PRIORITY", (int)level);
    add_field(&fields, "SYSLOG_IDENTIFIER", "handoffd");
    if (origin) {
        add_field(&fields, "CODE_FILE", origin->file);
        add_number(&fields, "CODE_LINE", origin->line);
        add_field(&fields, "CODE_FUNC", origin->function);
    }
    if (subject) {
        add_field(&fields, "REQUEST_ID", subject->request_id);
        add_field(&fields, "HANDOFFD_ROUTE", subject->route);
        add_field(&fields, "HANDOFFD_POOL", subject->pool);
        add_field(&fields, "HANDOFFD_LISTENER", subject->listener);
    }
    return journal_send(fields.iov, fields.n);
}

/* ---------------------------------------------------------------------------------------------- */

/* Ends the line that starts at `start` and has `len` bytes after it (and room for one more). */
static void emit(const struct log_origin *origin, const struct log_subject *subject,
                 enum log_level level, char *line, size_t start, size_t len)
{
    for (size_t i = start; i < start + len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[start + len] = '\n';
    if (!log_is_journal()) {
        write_all(line, start + len + 1);
    } else if (destination == TO_JOURNAL_STREAM ||
               send_to_journal(origin, subject, level, line, start + len)) {
        /* The prefix takes the place of the field's name, of which it needs the last three bytes. */
        memcpy(line + start - 3, (char[]){'<', (char)('0' + level), '>'}, 3);
        write_all(line + start - 3, len + 4);
    }
}

static void write_message(const struct log_origin *origin, const struct log_subject *subject,
                          enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void write_message(const struct log_origin *origin, const struct log_subject *subject,
                          enum log_level level, const char *fmt, va_list ap)
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
    emit(origin, subject, level, line, start, len);
    errno = saved_errno;
}

void log_message(const struct log_origin *origin, const struct log_subject *subject,
                 enum log_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    write_message(origin, subject, level, fmt, ap);
    va_end(ap);
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
    emit(NULL, NULL, level, line, start, len);
    free(line);
}

void log_message_limited(struct log_limit *limit, const struct log_origin *origin,
                         const struct log_subject *subject, enum log_level level, const char *fmt,
                         ...)
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
        log_message(origin, subject, level, "%s (%llu alike suppressed before)", text,
                    (unsigned long long)held);
    else
        log_message(origin, subject, level, "%s", text);
}
