/* admit.h - the last look at a request before its action runs: its parameters, and what its route's
 * headers take from it.  The loop's thread only. */
#ifndef HANDOFFD_ADMIT_H
#define HANDOFFD_ADMIT_H

#include "request.h"

/* Fills in request->params and request->header_lines.  What does not fit is answered with 422 (all
 * faults of the parameters) or 400; then request->response has its status. */
void admit_request(struct request *request);

#endif
