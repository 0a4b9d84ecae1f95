/* conf_text.h - the text of a configuration with its includes, ready for libconfig's parser. */
#ifndef HANDOFFD_CONF_TEXT_H
#define HANDOFFD_CONF_TEXT_H

#include "conf.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>

struct conf_text_line {
    size_t file; /* index into files */
    int number;  /* from 1 */
};

struct conf_text {
    struct strbuf text;
    char **files;
    size_t n_files;
    struct conf_text_line *lines;
    size_t n_lines;
};

/* Names under which a second setting of the same name is kept out of the way. */
#define CONF_TEXT_DUPLICATE_PREFIX "*again*"

/* What stands for an integer that 64 bits do not hold, whose fault has been noted. */
#define CONF_TEXT_TOO_LARGE INT64_MIN

/* Reads `path` and what it includes.  Faults that the text alone shows (a file that cannot be read,
 * an include cycle, a name that is set twice, a number that no integer holds) go into `faults`.
 * Returns 0, -EINVAL when no usable text came of it, or -ENOMEM; conf_text_free either way. */
int conf_text_load(const char *path, struct conf_text *out, struct conf_faults *faults) WARN_UNUSED;
/* The same for a string; `name` stands for the file in faults.  Includes are relative to it. */
int conf_text_from_string(const char *name, const char *string, struct conf_text *out,
                          struct conf_faults *faults) WARN_UNUSED;
void conf_text_free(struct conf_text *text);

/* "FILE:LINE" of a line of the joined text, numbered from 1. */
void conf_text_where(const struct conf_text *text, unsigned line, struct strbuf *out);

#endif
