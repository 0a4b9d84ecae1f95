/* str.h - growing strings and what option names need.  Nothing here is shared between threads. */
#ifndef HANDOFFD_STR_H
#define HANDOFFD_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A growing, always NUL-terminated string.  Zero-initialised is empty.  When memory runs out
 * `failed` stays set and further additions are dropped: check it once, at the end. */
struct strbuf {
    char *data;
    size_t len;
    size_t capacity;
    bool failed;
};

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len);
/* Makes room for `more` bytes, so that adding them moves nothing.  False: `failed` is set. */
bool strbuf_reserve(struct strbuf *sb, size_t more);
void strbuf_adds(struct strbuf *sb, const char *text);
void strbuf_addc(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_addv(struct strbuf *sb, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Adds `text` in double quotes with the escapes of a libconfig string; control characters as \xNN. */
void strbuf_add_quoted(struct strbuf *sb, const char *text);

/* The string so far, "" when empty; belongs to the buffer. */
const char *strbuf_cstr(const struct strbuf *sb);

/* Takes the string out (free() it) and empties the buffer; NULL when an addition had failed. */
char *strbuf_take(struct strbuf *sb);
void strbuf_free(struct strbuf *sb);

/* Edits (insert, delete, replace, swap neighbours) that turn a into b: the optimal string alignment
 * distance.  Strings over 64 bytes count as far apart. */
unsigned str_distance(const char *a, const char *b);

/* Keeps the best candidate for a misspelt name: call str_nearest_try for each known name. */
struct str_nearest {
    const char *wanted;
    const char *best;
    unsigned distance;
};

void str_nearest_try(struct str_nearest *nearest, const char *candidate);

#endif
