/* listener.h - listening sockets.  Opened and closed by one thread (the supervisor's); loops accept
 * from duplicates of their descriptors. */
#ifndef HANDOFFD_LISTENER_H
#define HANDOFFD_LISTENER_H

#include "conf.h"
#include "str.h"

#include <stdbool.h>
#include <sys/types.h>

struct listener {
    unsigned refs;
    char *address; /* as configured */
    char *bound;   /* as bound: the port that the kernel chose, the host as it resolved */
    int fd;
    bool is_unix;
    int inherited;   /* the service manager's descriptor (activation.h); -1: the socket is ours */
    char *unix_path; /* removed when the listener closes; NULL: there is none of ours */
    dev_t unix_dev;
    ino_t unix_ino;
};

/* Binds and listens, or takes a socket of the service manager's.  NULL with the reason in `why` and
 * errno set. */
struct listener *listener_open(const struct conf_listener *conf, struct strbuf *why);
/* The same for a TCP address that overlaps those of listeners which are about to close, between
 * listener_share_port on each of these with `shared` and again without. */
struct listener *listener_open_beside(const struct conf_listener *conf, struct strbuf *why);
void listener_share_port(struct listener *listener, bool shared);

struct listener *listener_ref(struct listener *listener);
/* The last one closes the socket and removes a unix socket's file, if it is still the same. */
void listener_unref(struct listener *listener);

/* The kernel brings it no new connections from now on: they come to another listener that the address
 * suits, or are refused.  Those under way, whose handshake is not over, still arrive and can be
 * accepted; closing it at once would reset them.  The service manager's sockets are left alone. */
void listener_turn_away(struct listener *listener);

/* Closes the descriptor and removes a unix socket's file; loops may go on with their duplicates. */
void listener_stop(struct listener *listener);

/* Brings a unix socket's file to another mode.  0 or -errno. */
int listener_set_mode(struct listener *listener, int64_t mode) WARN_UNUSED;

#endif
