/* exchange.h - one request and its answer as the loop sees them: the plain request that actions see,
 * and evhttp's side of it, which only the loop's thread touches. */
#ifndef HANDOFFD_EXCHANGE_H
#define HANDOFFD_EXCHANGE_H

#include "list.h"
#include "request.h"

#include <event2/event_struct.h>
#include <stdbool.h>

struct evhttp_request;
struct loop;

enum { EXCHANGE_ARENA_SIZE = 1024, EXCHANGE_ID_SIZE = 129 };

struct exchange {
    struct request request;
    struct list link; /* among the spare or the held ones of the loop */
    struct loop *loop;
    struct evhttp_request *ev;
    struct event timer;
    bool http10;
    bool keep_alive;     /* the client's wish, for HTTP/1.0 */
    const bool *closing; /* becomes true when the connection's listener is removed */
    bool close;          /* the connection ends with this answer */
    char id[EXCHANGE_ID_SIZE];
    _Alignas(16) char memory[EXCHANGE_ARENA_SIZE];
};

/* A new exchange, in flight, with a reference to the loop's snapshot.  NULL: out of memory. */
struct exchange *exchange_begin(struct loop *loop, struct evhttp_request *ev);

/* The answer has gone (or will never go). */
void exchange_end(struct exchange *exchange);

void exchange_free_spares(struct loop *loop);

static inline struct exchange *exchange_of(struct request *request)
{
    return container_of(request, struct exchange, request);
}

#endif
