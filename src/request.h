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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_route;
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

struct response {
    int status;
    const char *content_type; /* NULL: none is sent */
    const char *body;
    size_t body_len;
    char *owned_body; /* free()d with the request; what `body` points at, or NULL */
    struct header headers[RESPONSE_MAX_HEADERS];
    size_t n_headers;
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
    const char *peer; /* the client's address */
    const char *id;
    struct route_match match;
    const struct param_value *params; /* one for each of the route's params, once they are read */
    const char *header_lines; /* the route's headers that differ by request, CRLF after each; NULL */
    const struct conf_route *route;
    struct snapshot *snapshot;
    int result; /* of the action's run: 0 or -errno */
    struct response response;
};

/* Passes a request on; in debug builds a wrong `from` aborts. */
void request_hand_over(struct request *request, enum request_owner from, enum request_owner to);

/* Takes an answer back that has not been sent. */
void response_clear(struct request *request);

/* Answers with text that outlives the request (a literal or the snapshot's). */
void response_static(struct request *request, int status, const char *content_type,
                     const char *body, size_t len);

/* Answers with a malloc'd text and takes it over.  0, or -ENOMEM when `body` is NULL. */
int response_own(struct request *request, int status, const char *content_type, char *body,
                 size_t len) WARN_UNUSED;

/* Adds a header; both strings must outlive the request.  A ninth one is a programming error. */
void response_add_header(struct request *request, const char *name, const char *value);

#endif
