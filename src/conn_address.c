#include "conn_address.h"

#include "arena.h"
#include "conn.h"
#include "server.h"

#include <errno.h>
#include <event2/http.h>
#include <netdb.h>
#include <string.h>

int conn_local_address(const struct conn *conn, struct arena *arena, const char **address,
                       const char **port)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    char host[NI_MAXHOST] = "unix", service[NI_MAXSERV] = "";

    if (!server_is_unix(conn) && !getsockname(conn->fd, (struct sockaddr *)&local, &len))
        (void)getnameinfo((struct sockaddr *)&local, len, host, sizeof host, service,
                          sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    *address = arena_strndup(arena, host, strlen(host));
    *port = arena_strndup(arena, service, strlen(service));
    return *address && *port ? 0 : -ENOMEM;
}

const char *conn_peer_address(const struct conn *conn, struct arena *arena)
{
    char *address = NULL;
    ev_uint16_t port = 0;

    if (server_is_unix(conn))
        return "unix";
    evhttp_connection_get_peer(conn->evcon, &address, &port);
    return address ? arena_strndup(arena, address, strlen(address)) : "";
}
