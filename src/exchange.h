/* exchange.h - one request and its answer as the loop sees them: the plain request that actions see,
 * and what only the loop's thread touches. */
#ifndef HANDOFFD_EXCHANGE_H
#define HANDOFFD_EXCHANGE_H

#include "list.h"
#include "request.h"
#include "str.h"
#include "timer_heap.h"

#include <stdbool.h>

struct conn;
struct evhttp_request;
struct loop;

enum { EXCHANGE_ARENA_SIZE = 1024, EXCHANGE_ID_SIZE = 129 };

struct exchange {
    struct request request;
    struct list link;       /* among the spare ones of the loop */
    struct timer_node hold; /* when its answer is held, hold.c */
    void (*send)(struct exchange *exchange);
    struct loop *loop;
    struct conn *conn;         /* NULL: the client has gone */
    struct evhttp_request *ev; /* what evhttp wants answered; NULL until it has asked */
    struct strbuf body;
    bool http10;
    bool with_pool; /* its task has been handed over and has not come back */
    bool batched;   /* ... but waits for the end of the turn to be submitted */
    bool close;     /* the connection ends with this answer */
    bool linger;    /* and what the client still sends is read and thrown away for a while, so that
                     * it sees the answer and not a reset */
    char id[EXCHANGE_ID_SIZE];
    _Alignas(16) char memory[EXCHANGE_ARENA_SIZE];
};

/* A new exchange, in flight, with a reference to the loop's snapshot.  NULL: out of memory. */
struct exchange *exchange_begin(struct loop *loop);

/* The answer has gone (or will never go). */
void exchange_end(struct exchange *exchange);

void exchange_free_spares(struct loop *loop);

static inline struct exchange *exchange_of(struct request *request)
{
    return container_of(request, struct exchange, request);
}

#endif
