/* body_stream.h - a request's body that reaches its worker while it still arrives.
 *
 * For actions with ACTION_STREAMS_BODY.  A body that came together with its head needs no stream and
 * is in request->body at once; body_read hides the difference. */
#ifndef HANDOFFD_BODY_STREAM_H
#define HANDOFFD_BODY_STREAM_H

#include "parse_num.h"
#include "request.h"

#include <stdbool.h>
#include <sys/types.h>

/* ---- the worker's side ----------------------------------------------------------------------- */

/* The next bytes of the body: their number, and in `*data` where they are; they stay there until the
 * next call.  Waits for them, and by that makes a client send its body that waits for "100 Continue".
 * 0: the body is complete.  -ECANCELED: the task is cancelled (its client has left, ...); -EBADMSG:
 * the rest of the body was refused, and the client gets to know why, whatever the action answers.
 * After an error or 0 it may be called again, with the same result. */
ssize_t body_read(struct request *request, const char **data);

/* The same without waiting: -EAGAIN when nothing has come; then the task is nudged when something
 * has (task_open_poll_fd). */
ssize_t body_read_now(struct request *request, const char **data);

/* ---- the loop's side ------------------------------------------------------------------------- */

enum {
    BODY_STREAM_LIMIT = 256 << 10, /* with so much ahead of the worker the socket is not read */
    BODY_STREAM_RESUME = 64 << 10, /* ... until no more than this is left */
};

/* Makes request->body_stream, with the first bytes of the body.  `wanted` is called on the loop's
 * thread when the worker has used up what there was, or enough of it after a body_stream_add that
 * returned 1.  0 or -ENOMEM. */
int body_stream_begin(struct request *request, const char *data, size_t len,
                      void (*wanted)(struct request *request)) WARN_UNUSED;

/* Adds bytes.  0; 1: that is enough for now; -ENOMEM. */
int body_stream_add(struct request *request, const char *data, size_t len) WARN_UNUSED;

/* The body is complete; or, with `r` = -EBADMSG, the rest of it will not come. */
void body_stream_end(struct request *request, int r);

/* Frees it.  No worker may use it any more, no mail of it be under way.  NULL is allowed. */
void body_stream_free(struct request *request);

#endif
