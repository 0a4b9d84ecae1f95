/* admit.h - the last look at a request before its action runs: its parameters, and what its route's
 * headers take from it.
 *
 * It belongs on the loop, so that what does not fit takes no thread.  But to read a form costs time in
 * proportion to its length, up to 20 ms for each MiB; a long one for a blocking action is left to the
 * worker. */
#ifndef HANDOFFD_ADMIT_H
#define HANDOFFD_ADMIT_H

#include "request.h"

/* Whether the request is to be admitted by the worker that runs its action. */
bool admit_is_for_worker(const struct request *request);

/* The request's owner.  Fills in request->params and request->header_lines.  What does not fit is
 * answered with 422 (all faults of the parameters) or 400; then request->response has its status. */
void admit_request(struct request *request);

#endif
