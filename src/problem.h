/* problem.h - answers that the daemon makes itself: problem details (RFC 9457). */
#ifndef HANDOFFD_PROBLEM_H
#define HANDOFFD_PROBLEM_H

#include "request.h"

#include <jansson.h>

/* Fills the response.  `reason` is the contract's word for it, or NULL; the pool and the route are
 * named when the request has them.  Without memory the answer is the bare status. */
void problem_respond(struct request *request, int status, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with one more member, whose reference is taken over. */
void problem_respond_with(struct request *request, int status, const char *member, json_t *value,
                          const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The reason phrase of a status (RFC 9110, section 15); never NULL. */
const char *problem_title(int status);

#endif
