/* answer_stream.h - an answer that a worker sends while it still makes it.
 *
 *     request->response.status = 200; ...           the head, as ever
 *     r = answer_begin(request, ANSWER_UNKNOWN);    from here on it cannot be changed
 *     while (!r && (n = more(data)) > 0)
 *         r = answer_write(request, data, n);       waits while the client is slow
 *     return r;                                     0: the answer is whole
 *
 * The head leaves with the first bytes, with answer_flush or at the end: until then an action that
 * returns an error is answered as ever.  Afterwards an error, or fewer bytes than announced, closes
 * the connection in a way that the client cannot take for the end of the answer. */
#ifndef HANDOFFD_ANSWER_STREAM_H
#define HANDOFFD_ANSWER_STREAM_H

#include "parse_num.h"
#include "request.h"

#include <stdbool.h>

struct stream_block;

/* ---- the worker's side ----------------------------------------------------------------------- */

enum { ANSWER_UNKNOWN = -1 };

/* Begins to send the answer whose head stands in request->response (status, content_type, headers;
 * all of it must outlive the request).  `length` is that of the body, or ANSWER_UNKNOWN.
 * 0, -ECANCELED or -ENOMEM. */
int answer_begin(struct request *request, int64_t length) WARN_UNUSED;

/* Sends a copy of the bytes; waits as long as the client has not taken enough of what was written
 * before.  0; -ECANCELED: nobody wants them any more; -EMSGSIZE: more than `length`; -ENOMEM. */
int answer_write(struct request *request, const void *data, size_t len) WARN_UNUSED;

/* Whether answer_write would not wait.  If it would, the task is nudged when that has changed. */
bool answer_has_room(struct request *request);

/* Sends the head, if it has not gone yet.  0 or -ECANCELED. */
int answer_flush(struct request *request) WARN_UNUSED;

/* Adds a trailer field, to be sent behind a body of unknown length to HTTP/1.1 clients; to others it
 * is not sent.  Both strings must outlive the request.  A ninth one is a programming error. */
void answer_add_trailer(struct request *request, const char *name, const char *value);

/* ---- the loop's side ------------------------------------------------------------------------- */

/* What may be on its way to the client; each stream, and a block more. */
enum { ANSWER_STREAM_LIMIT = 256 << 10 };

/* Whether an answer has begun, so that request->response is its head. */
bool answer_has_begun(const struct request *request);

/* Of one that has begun.  ANSWER_UNKNOWN is possible. */
int64_t answer_length(const struct request *request);

/* The next block to be sent; the caller gives it back.  NULL: there is none now. */
struct stream_block *answer_take(struct request *request);
/* A block has left the daemon: frees it, and makes room for more. */
void answer_give_back(struct request *request, struct stream_block *block);

/* Whether everything that was announced has been written.  After the task has ended. */
bool answer_is_whole(const struct request *request);
size_t answer_trailers(const struct request *request, const struct header **trailers);

/* Frees it.  No worker may use it any more, no mail of it be under way. */
void answer_free(struct request *request);

#endif
