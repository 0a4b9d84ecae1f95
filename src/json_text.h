/* json_text.h - bytes from outside as JSON strings. */
#ifndef HANDOFFD_JSON_TEXT_H
#define HANDOFFD_JSON_TEXT_H

#include "request.h"

#include <jansson.h>
#include <stdbool.h>

/* Before jansson is used: has it tell below when memory is refused to it.  It says so by what it returns,
 * too, but a document of a hundred members asks a hundred times. */
void json_text_init(void);
/* Whether it has been on this thread since the last call: a document made meanwhile lacks something. */
bool json_text_was_refused(void);

/* Whether the bytes are UTF-8 (RFC 3629) without NUL. */
bool json_text_is_utf8(const char *bytes, size_t len);

/* A JSON string; bytes that are not UTF-8 become U+FFFD one by one.  A new reference, or NULL when
 * memory has run out. */
json_t *json_text(const char *bytes, size_t len);

/* The same of a text that has been put together, and may be incomplete for want of memory. */
json_t *json_text_of(const struct strbuf *text);

/* Base64 (RFC 4648, section 4) as a JSON string.  A new reference or NULL. */
json_t *json_text_base64(const char *bytes, size_t len);

/* Answers a request with a JSON document and gives the reference back.  0; -ENOMEM when memory has
 * run out while it was made, or `document` is NULL. */
int json_text_respond(struct request *request, int status, const char *content_type,
                      json_t *document) WARN_UNUSED;

#endif
