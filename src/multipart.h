/* multipart.h - takes a multipart/form-data body (RFC 7578) apart while it arrives.
 *
 * Pure mechanism: bytes in, calls out.  It keeps no more than the head of one part. */
#ifndef HANDOFFD_MULTIPART_H
#define HANDOFFD_MULTIPART_H

#include "parse_num.h"

#include <stdbool.h>
#include <stddef.h>

enum { MULTIPART_MAX_BOUNDARY = 70, MULTIPART_MAX_HEAD = 8192 };

/* What the head of a part says.  Valid during the call. */
struct multipart_head {
    const char *name;     /* of the form's field */
    const char *filename; /* as the client gave it; NULL: the part is no file */
};

/* Each returns 0, or what multipart_feed is to return. */
struct multipart_calls {
    int (*begin)(void *arg, const struct multipart_head *head);
    int (*data)(void *arg, const char *data, size_t len);
    int (*end)(void *arg);
};

struct multipart {
    const struct multipart_calls *calls;
    void *arg;
    const char *fault; /* after -EBADMSG: a sentence about it */
    char delimiter[4 + MULTIPART_MAX_BOUNDARY];
    size_t delimiter_len;
    size_t matched; /* bytes of the delimiter that have come, and are not content yet */
    int state;
    size_t head_len;
    char head[MULTIPART_MAX_HEAD];
};

/* 0; -EBADMSG: the Content-Type has no usable boundary. */
int multipart_begin(struct multipart *multipart, const char *content_type,
                    const struct multipart_calls *calls, void *arg) WARN_UNUSED;

/* The next bytes.  0; -EBADMSG; or what a call returned: after these it must not be called again. */
int multipart_feed(struct multipart *multipart, const char *data, size_t len) WARN_UNUSED;

/* The body has ended.  0; -EBADMSG: the closing delimiter is missing. */
int multipart_finish(struct multipart *multipart) WARN_UNUSED;

#endif
