/* guard_body.h - takes the framing off a request's body (RFC 9112, 6 and 7).  For guard.c. */
#ifndef HANDOFFD_GUARD_BODY_H
#define HANDOFFD_GUARD_BODY_H

#include "guard_fault.h"
#include "guard_head.h"

#include <stddef.h>
#include <stdint.h>

enum {
    GUARD_CHUNK_LINE_MAX = 256,     /* a chunk's size and extensions, without CR LF */
    GUARD_CHUNK_WASTE_FREE = 16384, /* framing may take so many bytes, and */
    GUARD_CHUNK_WASTE_RATIO = 4,    /* so many more for each byte of content */
};

struct guard_body {
    uint64_t left;    /* still to come of the body or, when chunked, of the chunk */
    uint64_t content; /* of the chunks so far, the current one included */
    uint64_t framing; /* bytes of chunk lines and of CR LF behind chunks */
    uint64_t max;     /* bytes of content that are taken; may be set until the first feed */
    uint32_t trailer; /* bytes of the trailer section so far */
    uint32_t max_trailer;
    uint16_t line; /* bytes of the chunk line so far */
    uint8_t state;
};

enum guard_piece { GUARD_PIECE_NONE, GUARD_PIECE_DATA, GUARD_PIECE_END, GUARD_PIECE_FAULT };

struct guard_body_out {
    enum guard_piece piece;
    enum guard_fault_id fault; /* of GUARD_PIECE_FAULT */
    const char *data;          /* of GUARD_PIECE_DATA: within the bytes fed */
    size_t len;
};

/* Begins the body that this head announces, which may be none. */
void guard_body_begin(struct guard_body *body, const struct guard_head *head, uint64_t max,
                      uint32_t max_trailer);

/* The bytes that come next and are content. */
uint64_t guard_body_content_left(const struct guard_body *body);

/* Takes bytes until a piece is there; returns how many.  GUARD_PIECE_NONE: all of them.  After
 * GUARD_PIECE_END and GUARD_PIECE_FAULT it must not be called again. */
size_t guard_body_feed(struct guard_body *body, const char *data, size_t len,
                       struct guard_body_out *out);

#endif
