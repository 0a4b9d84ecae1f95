/* log.h - one line per event on standard error.
 *
 * Every function here may be called from any thread; a line goes out in one write(2), so that
 * lines of several threads never mix.  Floors 0 and 1 log at debug level at most. */
#ifndef HANDOFFD_LOG_H
#define HANDOFFD_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

/* Values are those of syslog(3), which is what the journal's "<N>" prefix expects. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

/* Finds out whether standard error is the journal's stream (JOURNAL_STREAM, systemd.exec(5)):
 * then lines carry the "<N>" prefix of sd-daemon(3) instead of a time stamp and a level's name. */
void log_init(void);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_writev(enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* For machines: a line of any length, not cut.  Out of memory, it is cut. */
void log_whole(enum log_level level, const char *text);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A limit for a message that a flood could repeat: one line per `interval_ns`, and the next line
 * tells how many were held back.  Zero-initialised apart from the interval. */
struct log_limit {
    int64_t interval_ns;
    _Atomic int64_t next_ns;
    _Atomic uint64_t suppressed;
};

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
