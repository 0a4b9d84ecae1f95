/* exchange.h - one request and its answer as the loop sees them: the plain request that actions see,
 * and what only the loop's thread touches. */
#ifndef HANDOFFD_EXCHANGE_H
#define HANDOFFD_EXCHANGE_H

#include "list.h"
#include "loop_timer.h"
#include "request.h"
#include "str.h"

#include <stdbool.h>

struct conn;
struct evhttp_request;
struct loop;
struct route_part;

enum { EXCHANGE_ARENA_SIZE = 1024, EXCHANGE_ID_SIZE = 129 };

/* The client's time for a body, conn_deadline.h. */
struct body_clock {
    int64_t end_ns; /* when all of it must have come, as it looks */
    int64_t paused_ns;
    int64_t deadline_ns; /* while it is received for a worker; 0: none */
};

struct exchange {
    struct request request;
    struct list link;        /* among the loop's spare ones, or those whose answer is held */
    struct loop_timer timer; /* ends the holding of its answer, or is its task's next deadline */
    struct loop *loop;
    struct conn *conn; /* NULL: the client has gone */
    struct strbuf body;
    struct body_clock body_clock;
    struct route_part *part; /* what it is counted in, account.h; NULL before and after */
    int64_t begun_ns;        /* CLOCK_MONOTONIC: the head was complete */
    int64_t dispatched_ns;   /* a loop action began; 0: none */
    int64_t ready_ns;        /* the answer was known; 0: not yet */
    uint64_t body_sent;      /* bytes of the answer's body that have been sent or will be */
    struct slice referer;    /* for the access log */
    struct slice user_agent;
    const char *fault; /* why the guard has refused it; NULL: it has not */
    bool begun;        /* and not over: account.h */
    bool answered;     /* the answer has begun to go out */
    bool has_body;
    int64_t queue_budget_ns; /* the client's own; 0: none */
    unsigned n_redirects;    /* that its actions have made within the daemon */
    bool http10;
    bool with_pool; /* its task has been handed over and has not come back */
    bool batched;   /* ... but waits for the end of the turn to be submitted */
    bool close;     /* the connection ends with this answer */
    bool linger;    /* and what the client still sends is read and thrown away for a while, so that
                     * it sees the answer and not a reset */
    int refused_status; /* 0: no; else the answer that goes out in place of the action's */
    const char *refused_detail;
    char id[EXCHANGE_ID_SIZE];
    _Alignas(16) char memory[EXCHANGE_ARENA_SIZE];
};

/* How long a request has taken: waiting for a thread, being run, and in all. */
struct exchange_times {
    int64_t queue_ns;
    int64_t run_ns;
    int64_t total_ns;
};

void exchange_times(const struct exchange *exchange, int64_t now_ns, struct exchange_times *out);

/* A new exchange, in flight, with a reference to the loop's snapshot.  NULL: out of memory. */
struct exchange *exchange_begin(struct loop *loop);

/* Another exchange for the answer to the same request, which its task leaves behind: same client, same
 * route, no response yet.  The task stays with `from`, which loses the client.  NULL: out of memory,
 * and nothing has changed. */
struct exchange *exchange_split(struct exchange *from);

/* The answer has gone (or will never go). */
void exchange_end(struct exchange *exchange);

void exchange_free_spares(struct loop *loop);

static inline struct exchange *exchange_of(struct request *request)
{
    return container_of(request, struct exchange, request);
}

#endif
