/* parse_num.h - numbers, durations and sizes from text, every byte of it, with overflow checked.
 * Any thread.  All return 0, -EINVAL (not such a number) or -ERANGE (too large or negative). */
#ifndef HANDOFFD_PARSE_NUM_H
#define HANDOFFD_PARSE_NUM_H

#include <stddef.h>
#include <stdint.h>

#define WARN_UNUSED __attribute__((warn_unused_result))

/* Decimal, with an optional leading '-'. */
int parse_i64(const char *text, int64_t *out) WARN_UNUSED;

/* "250ms", "3s", "1.5m", "1h", or a bare number of seconds; result in nanoseconds. */
int parse_duration(const char *text, int64_t *ns) WARN_UNUSED;

/* Seconds as a number; result in nanoseconds. */
int duration_from_seconds(double seconds, int64_t *ns) WARN_UNUSED;

/* "4096", "64k", "1m", "2g" (powers of 1024, either case); result in bytes. */
int parse_size(const char *text, int64_t *bytes) WARN_UNUSED;

/* An octal file mode such as "0660", at most 0777. */
int parse_mode(const char *text, int64_t *mode) WARN_UNUSED;

enum { NUM_TEXT_SIZE = 32 };

/* The shortest text that the parsers above read back as the same value. */
void format_duration(int64_t ns, char out[NUM_TEXT_SIZE]);
void format_size(int64_t bytes, char out[NUM_TEXT_SIZE]);

#endif
