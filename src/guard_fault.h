/* guard_fault.h - every reason for which the guard turns a request away: one row for each. */
#ifndef HANDOFFD_GUARD_FAULT_H
#define HANDOFFD_GUARD_FAULT_H

enum guard_fault_id {
    GUARD_OK, /* no fault; has no row */

    /* any line */
    GUARD_NUL,
    GUARD_BARE_CR,
    GUARD_BARE_LF,
    GUARD_BLANK_LINES,

    /* request line */
    GUARD_METHOD_SYNTAX,
    GUARD_METHOD_UNKNOWN,
    GUARD_METHOD_LONG,
    GUARD_METHOD_TRACE,
    GUARD_METHOD_CONNECT,
    GUARD_TARGET_EMPTY,
    GUARD_TARGET_BYTE,
    GUARD_TARGET_FRAGMENT,
    GUARD_TARGET_ESCAPE,
    GUARD_TARGET_NUL,
    GUARD_TARGET_FORM,
    GUARD_TARGET_SCHEME,
    GUARD_TARGET_ASTERISK,
    GUARD_TARGET_AUTHORITY,
    GUARD_VERSION_MISSING,
    GUARD_VERSION_SYNTAX,
    GUARD_VERSION_MAJOR,
    GUARD_LINE_LONG,

    /* fields */
    GUARD_HEAD_LONG,
    GUARD_FIELD_COUNT,
    GUARD_FIELD_FOLDED,
    GUARD_NAME_EMPTY,
    GUARD_NAME_BLANK,
    GUARD_NAME_BYTE,
    GUARD_NAME_ALONE,
    GUARD_VALUE_BYTE,
    GUARD_HOST_MISSING,
    GUARD_HOST_TWICE,
    GUARD_HOST_SYNTAX,
    GUARD_LENGTH_TWICE,
    GUARD_LENGTH_SYNTAX,
    GUARD_LENGTH_OVERFLOW,
    GUARD_LENGTH_AND_CODING,
    GUARD_CODING_UNKNOWN,
    GUARD_CODING_SYNTAX,
    GUARD_CODING_AGAIN,
    GUARD_CODING_OLD,
    GUARD_EXPECTATION,

    /* body */
    GUARD_BODY_LONG,
    GUARD_CHUNK_SIZE,
    GUARD_CHUNK_OVERFLOW,
    GUARD_CHUNK_LINE_LONG,
    GUARD_CHUNK_EXTENSION,
    GUARD_CHUNK_END,
    GUARD_CHUNK_WASTE,
    GUARD_TRAILER_LONG,

    GUARD_NO_MEMORY,
    GUARD_FAULT_COUNT,
};

struct guard_fault {
    unsigned status;    /* of the answer */
    const char *reason; /* a sentence with the place of the rule, and nothing of the client's */
};

/* The fault for a byte that may not stand where it is: NUL and LF have their own. */
static inline enum guard_fault_id guard_bad_byte(char c, enum guard_fault_id otherwise)
{
    if (c == '\0')
        return GUARD_NUL;
    return c == '\n' ? GUARD_BARE_LF : otherwise;
}

/* The row of a fault; lives for ever.  Any thread. */
const struct guard_fault *guard_fault(enum guard_fault_id id);

#endif
