/* http_method.h - the request methods that routes can name (RFC 9110, section 9; PATCH: RFC 5789). */
#ifndef HANDOFFD_HTTP_METHOD_H
#define HANDOFFD_HTTP_METHOD_H

#include "str.h"

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_COUNT,
    METHOD_UNKNOWN = METHOD_COUNT,
};

#define METHOD_BIT(method) (1u << (method))
#define METHOD_ALL (METHOD_BIT(METHOD_COUNT) - 1)

/* Ends with NULL; in the order of the enum. */
extern const char *const http_method_names[];

enum http_method http_method_find(const char *name);

/* The methods that a route with this mask answers: HEAD comes with GET, OPTIONS with everything. */
unsigned http_method_answered(unsigned mask);

/* "GET, HEAD, OPTIONS": the value of an Allow header (RFC 9110, 10.2.1). */
void http_method_print(unsigned mask, struct strbuf *out);

#endif
