/* log.h - one line per event, on standard error or in systemd's journal.
 *
 * Every function here may be called from any thread; a line goes out in one piece, so that
 * those of several threads never mix.  Floors 0 and 1 log at debug level at most. */
#ifndef HANDOFFD_LOG_H
#define HANDOFFD_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Values are those of syslog(3), which is what the journal's "<N>" prefix expects. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

/* Finds out whether standard error is the journal's stream (JOURNAL_STREAM, systemd.exec(5)).  Then
 * messages go to the journal with structured fields: those of log_subject, and CODE_FILE and the like.
 * When the journal does not take them, they go to standard error with the "<N>" prefix of sd-daemon(3)
 * instead of a time stamp and a level's name. */
void log_init(void);
bool log_is_journal(void);

/* The process is about to end: messages go to the journal by way of its stream on standard error, with
 * the prefix.  Of one that comes directly the journal may not find out any more what service it is of,
 * as it looks that up when it reads. */
void log_prepare_exit(void);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* What a message is about; NULL: it does not say.  Each becomes a field of the journal. */
struct log_subject {
    const char *request_id; /* REQUEST_ID */
    const char *route;      /* HANDOFFD_ROUTE */
    const char *pool;       /* HANDOFFD_POOL */
    const char *listener;   /* HANDOFFD_LISTENER */
};

struct log_origin {
    const char *file;
    const char *function;
    int line;
};
#define LOG_HERE (&(const struct log_origin){__FILE__, __func__, __LINE__})

void log_message(const struct log_origin *origin, const struct log_subject *subject,
                 enum log_level level, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_write(level, ...) log_message(LOG_HERE, NULL, level, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
/* With a `const struct log_subject *`. */
#define log_about(subject, level, ...) log_message(LOG_HERE, subject, level, __VA_ARGS__)

/* For machines: a line of any length, not cut.  Out of memory, it is cut. */
void log_whole(enum log_level level, const char *text);

/* A limit for a message that a flood could repeat: one line per `interval_ns`, and the next line
 * tells how many were held back.  Zero-initialised apart from the interval. */
struct log_limit {
    int64_t interval_ns;
    _Atomic int64_t next_ns;
    _Atomic uint64_t suppressed;
};

void log_message_limited(struct log_limit *limit, const struct log_origin *origin,
                         const struct log_subject *subject, enum log_level level, const char *fmt,
                         ...) __attribute__((format(printf, 5, 6)));
#define log_limited(limit, level, ...) \
    log_message_limited(limit, LOG_HERE, NULL, level, __VA_ARGS__)
#define log_limited_about(limit, subject, level, ...) \
    log_message_limited(limit, LOG_HERE, subject, level, __VA_ARGS__)

#endif
