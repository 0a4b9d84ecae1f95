/* form.h - the fields of a query or of a form in a request's body.  Any thread; what is found lives
 * in the arena or points into the text that was read. */
#ifndef HANDOFFD_FORM_H
#define HANDOFFD_FORM_H

#include "arena.h"
#include "parse_num.h"
#include "request.h"

#include <stdbool.h>
#include <sys/types.h>

enum { FORM_MAX_FIELDS = 1000 };

struct form_field {
    struct slice name; /* decoded, as is the value; neither is NUL-terminated */
    struct slice value;
};

struct form_fields {
    struct form_field *items;
    size_t count;
    size_t capacity;
};

/* Adds the fields of application/x-www-form-urlencoded text (a query is one, too) as the URL standard
 * reads it: a plus is a blank, and an escape that is none stands for itself.
 * 0; -EINVAL with the reason in `*why` (more than FORM_MAX_FIELDS); -ENOMEM. */
int form_read_urlencoded(struct form_fields *fields, const char *text, size_t len,
                         struct arena *arena, const char **why) WARN_UNUSED;

/* Adds the fields of a multipart/form-data body (RFC 7578), files among them, with the boundary that
 * stands in the Content-Type.  0; -EINVAL with the reason in `*why`; -ENOMEM. */
int form_read_multipart(struct form_fields *fields, const char *content_type, const char *body,
                        size_t len, struct arena *arena, const char **why) WARN_UNUSED;

/* Finds a parameter in text such as `value; a=b; c="d"` and leaves its value, unquoted, in `out`, which
 * has room for `len` bytes.  Its length, or -ENOENT. */
ssize_t form_find_parameter(const char *text, size_t len, const char *name, char *out);

/* A name as it is, from what browsers make of it in quotes.  In place; returns the new length. */
size_t form_decode_name(char *name, size_t len);

/* The first field of that name; NULL: none. */
const struct form_field *form_find(const struct form_fields *fields, const char *name);

/* Whether the media type of a Content-Type is this one, whatever its parameters. */
bool form_is_media_type(const char *content_type, const char *media_type);

#endif
