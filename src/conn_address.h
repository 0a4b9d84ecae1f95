/* conn_address.h - the two ends of a connection, as text.  The loop's thread only. */
#ifndef HANDOFFD_CONN_ADDRESS_H
#define HANDOFFD_CONN_ADDRESS_H

#include "parse_num.h"

struct arena;
struct conn;

/* The address and port that a connection came in by; "unix" and "".  0 or -ENOMEM. */
int conn_local_address(const struct conn *conn, struct arena *arena, const char **address,
                       const char **port) WARN_UNUSED;

/* The client's address; "unix" for unix sockets; NULL: out of memory. */
const char *conn_peer_address(const struct conn *conn, struct arena *arena);

#endif
