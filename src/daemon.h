/* daemon.h - the parts that make up the running daemon.  The supervisor's (main) thread owns it. */
#ifndef HANDOFFD_DAEMON_H
#define HANDOFFD_DAEMON_H

#include "conf.h"
#include "listener.h"
#include "loop.h"
#include "snapshot.h"

#include <stddef.h>

/* Removed by a reload, its threads still ending. */
struct retired_pool {
    struct pool *pool; /* a reference */
    struct meter *meter;
    struct pool_numbers counted; /* in its meter's past */
};

struct daemon {
    struct conf_source source;
    struct vitals vitals;
    struct snapshot *snapshot;   /* in force; NULL until the first one is */
    struct listener **listeners; /* one for each of the snapshot's */
    struct retired_pool *retired;
    size_t n_retired;
    struct loop **loops;
    unsigned n_loops;
    struct accept_turn turn;
    int spare_fd; /* given up while a reload reads its files, in case there is no other left */
    int wake_fd;  /* eventfd(2): a thread needs reaping, or a draining loop is idle */
};

/* Wakes the supervisor; any thread.  `arg` is the daemon. */
void daemon_wake(void *arg);

/* 0, or -errno when the system refuses the descriptor. */
int daemon_init(struct daemon *daemon, const struct conf_source *source) WARN_UNUSED;

/* Takes a descriptor that is kept for a reload, or gives it up. */
void daemon_take_spare(struct daemon *daemon);
void daemon_give_spare(struct daemon *daemon);

/* Makes and starts the loops of the configuration.  0 or -errno. */
int daemon_start_loops(struct daemon *daemon, const struct conf *conf) WARN_UNUSED;

/* Joins ended threads, brings what retired pools have done to their meters, and forgets those that have
 * no thread left. */
void daemon_reap(struct daemon *daemon);

/* Runs on every loop, one after the other, and waits for each. */
void daemon_call_loops(struct daemon *daemon, void (*call)(struct loop *loop, void *arg),
                       void *arg);

/* After a drain: ends all threads and frees everything.  Running tasks are waited for. */
void daemon_stop(struct daemon *daemon);

#endif
