/* byte_ranges.h - the Range field of a request for bytes (RFC 9110, section 14).  Any thread. */
#ifndef HANDOFFD_BYTE_RANGES_H
#define HANDOFFD_BYTE_RANGES_H

#include <stdint.h>

enum { BYTE_RANGES_MAX = 16 };

struct byte_range {
    int64_t offset;
    int64_t length;
};

enum byte_ranges_result {
    BYTE_RANGES_NONE,        /* the field says nothing that must be heeded: all of it is sent */
    BYTE_RANGES_FOUND,       /* at least one can be satisfied */
    BYTE_RANGES_UNSATISFIED, /* 416 */
};

/* Reads a field's value against a size.  A field that is malformed, has more than BYTE_RANGES_MAX
 * ranges, or asks for more bytes than there are, is ignored, as the RFC allows. */
enum byte_ranges_result byte_ranges_read(const char *value, int64_t size,
                                         struct byte_range ranges[BYTE_RANGES_MAX], unsigned *n);

#endif
