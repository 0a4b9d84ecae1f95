/* trace_context.h - the W3C Trace Context of a request: who asked, in a trace that spans programs.
 *
 * This daemon makes no spans of its own.  It passes on what it was given, and logs it. */
#ifndef HANDOFFD_TRACE_CONTEXT_H
#define HANDOFFD_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct guard_head;

struct trace_context {
    const char *parent; /* the whole field traceparent; NULL: there was none, or a wrong one */
    const char *state;  /* the field tracestate; NULL: none */
    const char *id;     /* the trace's, 32 hexadecimal digits; NULL: none */
};

/* Whether that is a traceparent as level 1 of the specification has it, or of a later version. */
bool trace_context_is_valid(const char *parent, size_t len);

/* Takes a request's context over if its traceparent is valid and the only one.  What there is no memory
 * for is left out. */
void trace_context_read(struct trace_context *trace, const struct guard_head *head,
                        struct arena *arena);

#endif
