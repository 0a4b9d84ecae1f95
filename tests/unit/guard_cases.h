/* guard_cases.h - requests and what the guard must make of them, by section of the RFCs. */
#ifndef HANDOFFD_TEST_GUARD_CASES_H
#define HANDOFFD_TEST_GUARD_CASES_H

#include "guard_fault.h"

#include <stddef.h>

struct guard_case {
    const char *section;
    const char *name;
    const char *bytes;
    size_t len;
    const char *events; /* as guard_transcribe writes them, fields left out */
    size_t events_len;
    unsigned status; /* 0: no fault */
    enum guard_fault_id fault;
};

/* Bytes and events are string literals, which may hold NULs. */
#define BAD_AFTER(section, name, bytes, events, status, fault)                             \
    {                                                                                      \
        section, name, bytes, sizeof(bytes) - 1, events, sizeof(events) - 1, status, fault \
    }
#define BAD(section, name, bytes, status, fault) BAD_AFTER(section, name, bytes, "", status, fault)
#define GOOD(section, name, bytes, events) BAD_AFTER(section, name, bytes, events, 0, GUARD_OK)

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

extern const struct guard_case guard_line_cases[], guard_field_cases[], guard_body_cases[];
extern const size_t guard_n_line_cases, guard_n_field_cases, guard_n_body_cases;

/* The cases of all tables, one by one; NULL behind the last. */
const struct guard_case *guard_case_nth(size_t i);

#endif
