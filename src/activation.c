#include "activation.h"

#include <errno.h>

#ifdef HAVE_SYSTEMD
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static struct {
    char **names;
    int count;
} passed;

static int fd_at(int i)
{
    return SD_LISTEN_FDS_START + i;
}

int activation_init(void)
{
    int r = sd_listen_fds_with_names(true, &passed.names);

    if (r < 0)
        return r;
    passed.count = r;
    for (int i = 0; i < passed.count; i++) {
        int flags = fcntl(fd_at(i), F_GETFL);

        if (flags < 0 || fcntl(fd_at(i), F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

void activation_close(void)
{
    for (int i = 0; i < passed.count; i++) {
        close(fd_at(i));
        free(passed.names[i]);
    }
    free(passed.names);
    passed.names = NULL;
    passed.count = 0;
}

const char *activation_name_at(size_t i, int *fd)
{
    if (i >= (size_t)passed.count)
        return NULL;
    *fd = fd_at((int)i);
    return passed.names[i];
}

static void list_names(struct strbuf *out)
{
    for (int i = 0; i < passed.count; i++) {
        strbuf_adds(out, i ? ", " : "");
        strbuf_add_quoted(out, passed.names[i]);
    }
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static int not_found(const char *name, int matches, struct strbuf *why)
{
    if (!passed.count) {
        strbuf_adds(why, "the service manager has passed no socket (LISTEN_FDS); a socket unit for "
                         "this service must be active before it starts");
    } else if (!name) {
        strbuf_addf(why, "the service manager has passed %d sockets: ", passed.count);
        list_names(why);
        strbuf_adds(why, "; allowed with more than one: \"systemd:NAME\"");
    } else if (matches) {
        strbuf_addf(why,
                    "the service manager has passed %d sockets of that name; allowed: a "
                    "FileDescriptorName= for each, in socket units of their own",
                    matches);
    } else {
        strbuf_adds(why, "the service manager has passed no socket of that name; passed: ");
        list_names(why);
    }
    return fail(matches ? ENOTUNIQ : ENOENT);
}

static int check_kind(int fd, struct strbuf *why)
{
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
        strbuf_adds(why, "what the service manager has passed is no listening stream socket; its "
                         "unit needs ListenStream= and Accept=no");
    else if (sd_is_socket(fd, AF_INET, 0, -1) <= 0 && sd_is_socket(fd, AF_INET6, 0, -1) <= 0 &&
             sd_is_socket(fd, AF_UNIX, 0, -1) <= 0)
        strbuf_adds(why, "what the service manager has passed is neither a TCP nor a unix socket");
    else
        return fd;
    return fail(ENOTSOCK);
}

int activation_find(const char *name, struct strbuf *why)
{
    int matches = 0, found = -1;

    for (int i = 0; i < passed.count; i++)
        if (!name || !strcmp(passed.names[i], name)) {
            found = fd_at(i);
            matches++;
        }
    return matches == 1 ? check_kind(found, why) : not_found(name, matches, why);
}

#else

int activation_init(void)
{
    return 0;
}

void activation_close(void)
{
}

const char *activation_name_at(size_t i, int *fd)
{
    (void)i;
    (void)fd;
    return NULL;
}

int activation_find(const char *name, struct strbuf *why)
{
    (void)name;
    strbuf_adds(why, "this handoffd was built without systemd support");
    errno = EOPNOTSUPP;
    return -1;
}

#endif
