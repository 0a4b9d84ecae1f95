/* precondition.h - conditional requests (RFC 9110, section 13).  Any thread. */
#ifndef HANDOFFD_PRECONDITION_H
#define HANDOFFD_PRECONDITION_H

#include "request.h"

#include <stdbool.h>
#include <time.h>

/* What there is to compare with. */
struct validators {
    const char *etag; /* strong, in its quotes */
    time_t modified;
};

enum precondition {
    PRECONDITION_HOLDS,        /* or there is none: go on */
    PRECONDITION_NOT_MODIFIED, /* 304 */
    PRECONDITION_FAILED,       /* 412 */
};

/* In the order of 13.2.2.  `validators` is NULL for what does not exist. */
enum precondition precondition_check(const struct request *request,
                                     const struct validators *validators);

/* Whether a Range counts: there is no If-Range, or it names what there is (13.1.5). */
bool precondition_range_counts(const struct request *request, const struct validators *validators);

#endif
