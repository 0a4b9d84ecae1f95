/* request.h - a request and its answer as plain data: what actions see.
 *
 * A request has one owner at a time: the loop that read it, then (for blocking actions) the pool's
 * queue and one worker, then the loop again.  Only the owner touches it.  Everything it points at is
 * copied into its arena or belongs to its snapshot, so a worker needs nothing of the loop's. */
#ifndef HANDOFFD_REQUEST_H
#define HANDOFFD_REQUEST_H

#include "arena.h"
#include "http_method.h"
#include "router.h"
#include "task.h"
#include "trace_context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer_stream;
struct body_stream;
struct conf_route;
struct log_subject;
struct param_value;
struct snapshot;

struct slice {
    const char *data;
    size_t len;
};

struct header {
    const char *name;
    const char *value;
};

enum { RESPONSE_MAX_HEADERS = 8 };

/* Of a body that comes from a file: text, then a range of the file. */
struct response_part {
    struct slice text;
    int64_t offset;
    int64_t length;
};

struct response {
    int status;
    const char *content_type; /* NULL: none is sent */
    const char *body;
    size_t body_len;
    char *owned_body; /* free()d with the request; what `body` points at, or NULL */
    const struct response_part *parts; /* of a body from a file; NULL: `body` is the body */
    size_t n_parts;
    int file; /* open while there are `parts`; closed with the request */
    struct header headers[RESPONSE_MAX_HEADERS];
    size_t n_headers;
    const char *lines;  /* more headers, ready to be sent, CRLF after each; NULL: none */
    const char *reason; /* of a problem, as section 6 of handoffd(8) names it; NULL: none */
    int64_t hold_ns;    /* the loop waits so long before it sends */
};

enum request_owner { REQUEST_OF_LOOP, REQUEST_OF_POOL };

struct request {
    struct task task;
    struct arena arena;
    enum request_owner owner;
    enum http_method method;
    const char *method_name;
    struct slice target; /* as it came */
    struct slice path;   /* decoded, normalised, NUL-terminated */
    struct slice query;  /* as it came, without the question mark; NUL-terminated */
    struct header *headers;
    size_t n_headers;
    struct slice body;
    const char *peer;          /* the client's address */
    const char *protocol;      /* "HTTP/1.1" ... */
    const char *local_address; /* where it came in; only with ACTION_NEEDS_LOCAL */
    const char *local_port;    /* "" for a unix socket */
    const char *id;
    struct trace_context trace; /* for what the action starts elsewhere */
    struct route_match match;
    const struct param_value *params; /* one for each of the route's params, once they are read */
    const char
        *header_lines; /* the route's headers that differ by request, CRLF after each; NULL */
    const struct conf_route *route;
    struct snapshot *snapshot;
    struct body_stream *body_stream; /* body_stream.h; NULL: `body` is the whole body */
    bool body_taken;                 /* `body` has been given out by body_read */
    struct answer_stream *answer;    /* answer_stream.h; NULL: `response` is the whole answer */
    /* For answer_stream.c: called on the loop's thread when there is more of an answer. */
    void (*take_answer)(struct request *request);
    const char *redirect; /* set by `run`: a path (and query) to be answered instead */
    int result;           /* of the action's run: 0 or -errno */
    struct response response;
};

/* Passes a request on; in debug builds a wrong `from` aborts. */
void request_hand_over(struct request *request, enum request_owner from, enum request_owner to);

/* What log messages of this request are about (log.h). */
struct log_subject request_log_subject(const struct request *request);

/* Takes an answer back that has not been sent. */
void response_clear(struct request *request);

/* Answers with text that outlives the request (a literal or the snapshot's). */
void response_static(struct request *request, int status, const char *content_type,
                     const char *body, size_t len);

/* Answers with a malloc'd text and takes it over.  0, or -ENOMEM when `body` is NULL. */
int response_own(struct request *request, int status, const char *content_type, char *body,
                 size_t len) WARN_UNUSED;

/* Answers with ranges of an open file, which the request takes over; the parts and their texts must
 * outlive the request.  Any earlier body is dropped. */
void response_file(struct request *request, int status, const char *content_type, int file,
                   const struct response_part *parts, size_t n_parts);

/* Frees what an answer owns that is not sent, or sent by copies. */
void response_drop_body(struct response *response);

/* Adds a header; both strings must outlive the request.  A ninth one is a programming error. */
void response_add_header(struct request *request, const char *name, const char *value);

#endif
