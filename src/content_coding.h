/* content_coding.h - what a client's Accept-Encoding allows (RFC 9110, 12.5.3).  Any thread. */
#ifndef HANDOFFD_CONTENT_CODING_H
#define HANDOFFD_CONTENT_CODING_H

#include "request.h"

enum content_coding { CODING_BR, CODING_ZSTD, CODING_GZIP, CODING_COUNT };

struct content_coding_names {
    const char *name;   /* in Content-Encoding */
    const char *suffix; /* of files */
};

extern const struct content_coding_names content_codings[CODING_COUNT];

/* Writes the codings that the client takes, and prefers to or takes as well as none at all, into
 * `order`, the best first; of equals the one first that stands first above.  Returns how many. */
unsigned content_coding_order(const struct request *request,
                              enum content_coding order[CODING_COUNT]);

#endif
