/* guard.h - checks every byte that a client sends and cuts the stream into requests.
 *
 * Pure mechanism: bytes in, events out; no sockets, no clock, no log.  A guard belongs to one
 * connection and to the thread that reads it.
 *
 *     struct guard_event event;
 *
 *     do {
 *         size_t used = guard_feed(&guard, data, len, &event);
 *
 *         data += used;
 *         len -= used;
 *         ...
 *     } while (event.type != GUARD_MORE && event.type != GUARD_FAULT);
 *
 * The events of a request are HEAD, any number of BODY, END; or what there was of these, and FAULT.
 * Go on feeding, if only with 0 bytes, until MORE: when there is no body, END comes without another
 * byte.  To answer one request before the next is looked at, stop at END and keep the rest.
 * How the bytes were cut makes no difference, except that BODY pieces are cut where they were. */
#ifndef HANDOFFD_GUARD_H
#define HANDOFFD_GUARD_H

#include "guard_body.h"
#include "guard_fault.h"
#include "guard_head.h"

#include <stddef.h>
#include <stdint.h>

struct guard_limits {
    size_t max_head;      /* bytes from the method to the empty line; 431, or 414 when not even the
                           * request line ends within; more than GUARD_HEAD_MAX is cut to it */
    unsigned max_fields;  /* 431; more than GUARD_FIELDS_MAX is cut to it */
    unsigned max_trailer; /* bytes of trailer fields; 400 */
    uint64_t max_body;    /* bytes of content; 413; guard_set_max_body can change it per request */
};

enum {
    GUARD_HEAD_MAX = 1 << 30,
    GUARD_BLANK_LINES_MAX = 4, /* empty lines passed over in front of a request */
};

enum guard_phase {
    GUARD_IDLE,    /* no byte of a request has come; empty lines do not count */
    GUARD_IN_HEAD, /* a head has begun */
    GUARD_IN_BODY, /* from HEAD to END */
    GUARD_DEAD,    /* after FAULT */
};

struct guard_partial;

/* About 70 bytes; owns memory only while a head has come in part, and until the next guard_feed. */
struct guard {
    const struct guard_limits *limits;
    struct guard_partial *partial;
    struct guard_body body;
    uint8_t phase;
    uint8_t fault;
    uint8_t blank_lines;
    bool blank_cr; /* the CR of an empty line was the last byte */
};

enum guard_event_type {
    GUARD_MORE,  /* every byte was used, and nothing is complete */
    GUARD_HEAD,  /* a head: `head` */
    GUARD_BODY,  /* content: `data` and `len` (never 0), framing removed */
    GUARD_END,   /* the request is complete; what follows belongs to the next */
    GUARD_FAULT, /* the request is refused: `fault`; the connection can only be closed */
};

/* Reuse one per thread: its room for fields need not be cleared, and is not. */
struct guard_event {
    enum guard_event_type type;

    /* HEAD: the head.  FAULT: as far as it came, if the fault is in the head and the request line
     * was well-formed: method_name, target, minor (and method, if known) are set; else NULL.
     * Head, bytes and fields stay valid until the next guard_feed or guard_clear of this guard, and
     * not longer than this event and the bytes fed: copy what is to stay. */
    const struct guard_head *head;

    const char *data; /* within the bytes fed */
    size_t len;

    const struct guard_fault *fault;

    struct guard_scan scan; /* the guard's own: a head that came in one piece */
    struct guard_field fields[GUARD_FIELDS_MAX];
};

/* The limits belong to the caller and must outlive the guard.  They may change between two calls: what
 * has come already is held against the new ones. */
void guard_init(struct guard *guard, const struct guard_limits *limits);

/* Frees what the guard owns; it is as after guard_init. */
void guard_clear(struct guard *guard);

/* Takes bytes until there is an event; returns how many.  Heads that come in one piece are read
 * where they lie; others are put together in memory that grows with them to at most
 * max_head + GUARD_FIELDS_MAX * sizeof(struct guard_field) and a little.  Time is linear in the
 * bytes, however they are cut.  After FAULT each call gives the same fault and takes nothing. */
size_t guard_feed(struct guard *guard, const char *data, size_t len, struct guard_event *event);

/* Between HEAD and the next guard_feed: the limit for this request's body. */
void guard_set_max_body(struct guard *guard, uint64_t max_body);

enum guard_phase guard_phase(const struct guard *guard);

/* The bytes that come next and are content, whatever they are: of the body or, when it is chunked, of
 * the chunk. */
uint64_t guard_content_left(const struct guard *guard);

/* For tests: replaces realloc(3) and free(3) (which is asked for by size 0); NULL brings them back.
 * Not thread-safe. */
void guard_set_allocator(void *(*resize)(void *memory, size_t size));

#endif
