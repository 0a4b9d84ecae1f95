#include "listener.h"

#include "activation.h"
#include "listen_address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,         /* the kernel cuts it to net.core.somaxconn */
    MAX_UNSENT = 256 << 10, /* bytes that the kernel takes ahead of what it can send */
};

/* Tells the reason and keeps errno. */
static int fail(const char *what, const char *address, struct strbuf *why)
{
    int error = errno;

    strbuf_addf(why, "cannot %s %s: %s", what, address, strerror(error));
    errno = error;
    return -1;
}

/* close(2) that keeps errno. */
static void close_quietly(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* Sockets that share their port may be bound to addresses that overlap: 0.0.0.0 and 127.0.0.1.  It is
 * allowed for the moment of a change only, or a second daemon could take a part of ours. */
static void share_port(int fd, bool shared)
{
    const int value = shared;

    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value);
}

static int bind_tcp(const struct addrinfo *info, const char *host, bool beside, struct strbuf *why,
                    const char *address)
{
    const int on = 1, v6only = *host != '\0', unsent = MAX_UNSENT;
    int fd = new_socket(info->ai_family);

    if (fd < 0)
        return fail("make a socket for", address, why);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Accepted connections inherit both: answers are not held back for delayed ACKs, and those who do
     * not read theirs cannot fill the kernel's memory with them, megabytes for each. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    share_port(fd, beside);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        fail("listen on", address, why);
        close_quietly(fd);
        return -1;
    }
    share_port(fd, false);
    return fd;
}

/* Without a host: every address, of IPv6 and IPv4 where the host has both. */
static int open_any(const struct listen_address *parsed, const char *address, bool beside,
                    struct strbuf *why)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(parsed->port)};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(parsed->port)};
    struct addrinfo info = {
        .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&any6, .ai_addrlen = sizeof any6};
    int probe = new_socket(AF_INET6);

    if (probe < 0)
        info = (struct addrinfo){
            .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&any4, .ai_addrlen = sizeof any4};
    else
        close(probe);
    return bind_tcp(&info, "", beside, why, address);
}

static int open_tcp(const struct listen_address *parsed, const char *address, bool beside,
                    struct strbuf *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char port[8];
    int fd, r;

    if (!*parsed->host)
        return open_any(parsed, address, beside, why);
    snprintf(port, sizeof port, "%u", (unsigned)parsed->port);
    r = getaddrinfo(parsed->host, port, &hints, &found);
    if (r) {
        strbuf_addf(why, "cannot find the host of %s: %s", address, gai_strerror(r));
        errno = r == EAI_SYSTEM ? errno : r == EAI_MEMORY ? ENOMEM : EADDRNOTAVAIL;
        return -1;
    }
    fd = bind_tcp(found, parsed->host, beside, why, address);
    freeaddrinfo(found);
    return fd;
}

static char *tcp_name(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;
    char host[NI_MAXHOST], port[NI_MAXSERV], *name;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
        getnameinfo((struct sockaddr *)&sa, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return NULL;
    if (asprintf(&name, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port) < 0)
        return NULL;
    return name;
}

/* As configured addresses are written. */
static char *socket_name(int fd, bool *is_unix)
{
    struct sockaddr_un sun = {0};
    socklen_t len = sizeof sun;
    char *name;

    *is_unix = getsockname(fd, (struct sockaddr *)&sun, &len) == 0 && sun.sun_family == AF_UNIX;
    if (!*is_unix)
        return tcp_name(fd);
    if (sun.sun_path[0])
        len = (socklen_t)strnlen(sun.sun_path, sizeof sun.sun_path);
    else
        len -= (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
    /* An abstract name begins with a NUL byte, which is written as "@". */
    if (asprintf(&name, "unix:%s%.*s", sun.sun_path[0] ? "" : "@", (int)len,
                 sun.sun_path + !sun.sun_path[0]) < 0)
        return NULL;
    return name;
}

/* A service manager that has bound the address, and a configuration that does not know of it. */
static void hint_at_inherited(const char *address, struct strbuf *why)
{
    const char *passed;
    int fd;

    for (size_t i = 0; (passed = activation_name_at(i, &fd)); i++) {
        bool is_unix;
        char *name = socket_name(fd, &is_unix);

        if (name && !strcmp(name, address))
            strbuf_addf(why, "; by the service manager, who passes it as \"systemd:%s\"", passed);
        free(name);
    }
}

/* ---- unix sockets ---------------------------------------------------------------------------- */

/* Removes a socket file that nobody listens on any more.  Whatever else is there stays. */
static void remove_stale(const struct sockaddr_un *sun)
{
    struct stat st;
    int fd;

    if (lstat(sun->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = new_socket(AF_UNIX);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)sun, sizeof *sun) < 0 && errno == ECONNREFUSED)
        unlink(sun->sun_path);
    close(fd);
}

static int open_unix(const struct listen_address *parsed, int64_t mode, const char *address,
                     struct strbuf *why)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = new_socket(AF_UNIX);

    if (fd < 0)
        return fail("make a socket for", address, why);
    memcpy(sun.sun_path, parsed->path, sizeof sun.sun_path);
    remove_stale(&sun);
    /* The mode of the socket itself is what the file is made with, so that there is no moment in
     * which it is more open than it should be; chmod undoes what the umask took away. */
    if (fchmod(fd, (mode_t)mode) < 0 || bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 ||
        chmod(sun.sun_path, (mode_t)mode) < 0 || listen(fd, BACKLOG) < 0) {
        fail("listen on", address, why);
        close_quietly(fd);
        return -1;
    }
    return fd;
}

static void note_unix_file(struct listener *listener, const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return;
    listener->unix_path = strdup(path);
    listener->unix_dev = st.st_dev;
    listener->unix_ino = st.st_ino;
}

/* ---- sockets of the service manager ---------------------------------------------------------- */

/* A duplicate of its own, so that closing it leaves the socket to later listeners. */
static int take_inherited(const struct listen_address *parsed, const char *address, int *inherited,
                          struct strbuf *why)
{
    const int on = 1;
    struct strbuf reason = {0};
    int found = activation_find(*parsed->name ? parsed->name : NULL, &reason);
    int fd = found < 0 ? -1 : fcntl(found, F_DUPFD_CLOEXEC, 3);
    int error = errno;

    *inherited = found;
    if (fd < 0)
        strbuf_addf(why, "cannot listen on %s: %s", address,
                    found < 0 ? strbuf_cstr(&reason) : strerror(error));
    else
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
                   sizeof on); /* means nothing to unix sockets */
    strbuf_free(&reason);
    errno = error;
    return fd;
}

/* ---------------------------------------------------------------------------------------------- */

static int open_socket(struct listener *listener, const struct conf_listener *conf,
                       const struct listen_address *parsed, bool beside, struct strbuf *why)
{
    switch (parsed->kind) {
    case LISTEN_UNIX:
        return open_unix(parsed, conf->mode, conf->address, why);
    case LISTEN_SYSTEMD:
        return take_inherited(parsed, conf->address, &listener->inherited, why);
    case LISTEN_TCP:
        break;
    }
    return open_tcp(parsed, conf->address, beside, why);
}

static struct listener *open_listener(const struct conf_listener *conf, bool beside,
                                      struct strbuf *why)
{
    struct listener *listener = calloc(1, sizeof *listener);
    struct listen_address parsed;
    int error;

    if (!listener) {
        strbuf_adds(why, "out of memory");
        errno = ENOMEM;
        return NULL;
    }
    listener->refs = 1;
    listener->fd = listener->inherited = -1;
    listener->address = strdup(conf->address);
    if (listen_address_parse(conf->address, &parsed, why) == 0)
        listener->fd = open_socket(listener, conf, &parsed, beside, why);
    if (listener->fd >= 0) {
        listener->bound = socket_name(listener->fd, &listener->is_unix);
        if (parsed.kind == LISTEN_UNIX)
            note_unix_file(listener, parsed.path);
        if (listener->bound && listener->address)
            return listener;
        strbuf_adds(why, "out of memory");
        errno = ENOMEM;
    }
    error = errno;
    if (error == EADDRINUSE)
        hint_at_inherited(conf->address, why);
    listener_unref(listener);
    errno = error;
    return NULL;
}

struct listener *listener_open(const struct conf_listener *conf, struct strbuf *why)
{
    return open_listener(conf, false, why);
}

struct listener *listener_open_beside(const struct conf_listener *conf, struct strbuf *why)
{
    return open_listener(conf, true, why);
}

void listener_share_port(struct listener *listener, bool shared)
{
    if (!listener->is_unix && listener->inherited < 0)
        share_port(listener->fd, shared);
}

/* A socket bound to an interface (socket(7), by its number since Linux 5.1) is passed over for what
 * comes in by another, and no interface has this number.  It keeps the port, so it shares it with the
 * next listener of the same address. */
static void turn_away_tcp(int fd)
{
    const int nowhere = INT_MAX;

    share_port(fd, true);
    setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere);
}

static void remove_unix_file(struct listener *listener)
{
    struct stat st;

    if (listener->unix_path && lstat(listener->unix_path, &st) == 0 &&
        st.st_dev == listener->unix_dev && st.st_ino == listener->unix_ino)
        unlink(listener->unix_path);
    free(listener->unix_path);
    listener->unix_path = NULL;
}

void listener_turn_away(struct listener *listener)
{
    if (listener->inherited >= 0)
        return;
    if (listener->is_unix)
        remove_unix_file(listener);
    else
        turn_away_tcp(listener->fd);
}

struct listener *listener_ref(struct listener *listener)
{
    listener->refs++;
    return listener;
}

void listener_stop(struct listener *listener)
{
    remove_unix_file(listener);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

void listener_unref(struct listener *listener)
{
    if (!listener || --listener->refs)
        return;
    listener_stop(listener);
    free(listener->address);
    free(listener->bound);
    free(listener);
}

int listener_set_mode(struct listener *listener, int64_t mode)
{
    if (!listener->unix_path)
        return 0;
    return chmod(listener->unix_path, (mode_t)mode) < 0 ? -errno : 0;
}
