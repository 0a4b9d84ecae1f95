/* guard_head.h - the head of a request: what was found in it, and the scanner that finds it. */
#ifndef HANDOFFD_GUARD_HEAD_H
#define HANDOFFD_GUARD_HEAD_H

#include "guard_fault.h"
#include "http_method.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `len` bytes from `at` in guard_head.bytes. */
struct guard_span {
    uint32_t at;
    uint32_t len;
};

struct guard_field {
    struct guard_span name;
    struct guard_span value; /* without the blanks around it; may be empty */
};

/* A head that has passed every check.  Spans, not pointers, so that bytes and fields can move.  Who
 * owns them, and how long, is told by who hands the head out. */
struct guard_head {
    const char *bytes;                /* from the method to the empty line */
    const struct guard_field *fields; /* as they came, in order, Host and framing included */
    uint32_t len;
    uint32_t n_fields;

    struct guard_span method_name;
    struct guard_span target; /* as it came, absolute-form included */
    struct guard_span path;   /* raw, begins with '/'; empty when `asterisk` */
    struct guard_span query;  /* raw, without the '?' */
    struct guard_span host;   /* "name" or "name:port"; the target's own wins over Host; in
                               * HTTP/1.0 it may be empty */
    uint64_t content_length;  /* 0 without Content-Length */
    enum http_method method;
    uint8_t minor; /* HTTP/1.0: 0; HTTP/1.1 and what is newer: 1 */

    bool asterisk;  /* OPTIONS for the server as a whole (RFC 9112, 3.2.4) */
    bool absolute;  /* the target came in absolute-form (RFC 9112, 3.2.2) */
    bool has_query; /* there was a '?', even if nothing follows it */
    bool has_host_field;
    bool has_content_length;
    bool chunked;
    bool has_body;        /* chunked, or content_length > 0 */
    bool close;           /* the connection ends with the answer (RFC 9112, 9.3) */
    bool keep_alive;      /* the client wrote "keep-alive": HTTP/1.0 wants it in the answer */
    bool expect_continue; /* the client waits for 100 before it sends the body */
};

enum { GUARD_FIELDS_MAX = 100 };

/* The text of a span; not NUL-terminated. */
static inline const char *guard_text(const struct guard_head *head, struct guard_span span)
{
    return head->bytes + span.at;
}

/* The first field of that name (any case), or NULL. */
const struct guard_field *guard_head_find(const struct guard_head *head, const char *name);

/* The scanner.  For guard.c alone: it scans bytes that stand one behind the other in memory, but
 * need not all be there yet. */
struct guard_scan {
    struct guard_head head;
    struct guard_field *fields; /* what head.fields points at, writable */
    uint32_t room;              /* for so many fields there is memory */
    uint32_t max_fields;
    uint32_t at;   /* bytes scanned */
    uint32_t mark; /* where the current word began */
    uint8_t state;
    uint8_t version_at;   /* bytes of "HTTP/1.1" seen */
    uint8_t escape_first; /* the first digit behind a '%' */
    bool line_known;      /* the request line was well-formed: method_name, target, minor are set */
    bool done;
};

void guard_scan_begin(struct guard_scan *scan, const char *bytes, struct guard_field *fields,
                      uint32_t room, uint32_t max_fields);

/* Memory has moved. */
void guard_scan_move(struct guard_scan *scan, const char *bytes, struct guard_field *fields,
                     uint32_t room);

/* Scans on to byte `end` or to the end of the head (`done`), whichever comes first; no byte is
 * looked at twice by the machine.  A line may not need more fields than there is room for, unless
 * max_fields is reached.  On a fault `at` is the offset behind the byte that made it certain. */
enum guard_fault_id guard_scan_run(struct guard_scan *scan, uint32_t end);

#endif
