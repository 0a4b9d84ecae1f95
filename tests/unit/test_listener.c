#include "listener.h"
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct listener *open_one(const char *address, int64_t mode, struct strbuf *why)
{
    char *copy = strdup(address);
    const struct conf_listener conf = {.name = copy, .address = copy, .mode = mode};
    struct listener *listener = listener_open(&conf, why);

    free(copy); /* it keeps its own */
    return listener;
}

static struct listener *open_good(const char *address, int64_t mode)
{
    struct strbuf why = {0};
    struct listener *listener = open_one(address, mode, &why);

    ck_assert_msg(listener != NULL, "%s", strbuf_cstr(&why));
    ck_assert_str_eq(listener->address, address);
    ck_assert_uint_eq(why.len, 0);
    ck_assert_int_eq(fcntl(listener->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(listener->fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    return listener;
}

/* Fails with a message that names the address and the reason, which is in errno, too. */
static void open_bad(const char *address, int error, const char *reason)
{
    struct strbuf why = {0};

    errno = 0;
    ck_assert_msg(open_one(address, 0600, &why) == NULL, "%s was opened", address);
    ck_assert_int_eq(errno, error);
    ck_assert_contains(strbuf_cstr(&why), address);
    ck_assert_contains(strbuf_cstr(&why), reason ? reason : strerror(error));
    strbuf_free(&why);
}

/* The connected descriptor, or -1 with errno set. */
static int stay_connected(const char *bound)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sin.sin_port = htons((uint16_t)strtoul(strrchr(bound, ':') + 1, NULL, 10));
    if (connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_to(const char *bound)
{
    int fd = stay_connected(bound);

    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static void fill_unix(struct sockaddr_un *sun, const char *path)
{
    *sun = (struct sockaddr_un){.sun_family = AF_UNIX};
    ck_assert_int_lt(snprintf(sun->sun_path, sizeof sun->sun_path, "%s", path),
                     (int)sizeof sun->sun_path);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un sun;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

    fill_unix(&sun, path);
    r = connect(fd, (struct sockaddr *)&sun, sizeof sun);
    close(fd);
    return r;
}

static const char *unix_address(const char *path)
{
    static char address[256];

    snprintf(address, sizeof address, "unix:%s", path);
    return address;
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    ck_assert_int_eq(lstat(path, &st), 0);
    return (unsigned)st.st_mode & 07777;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

START_TEST(port_0_is_chosen_and_told)
{
    struct listener *a = open_good("127.0.0.1:0", 0), *b = open_good("127.0.0.1:0", 0);

    ck_assert_int_eq(strncmp(a->bound, "127.0.0.1:", 10), 0);
    ck_assert_str_ne(a->bound, "127.0.0.1:0");
    ck_assert_str_ne(a->bound, b->bound);
    ck_assert_ptr_null(a->unix_path);
    ck_assert_int_eq(connect_to(a->bound), 0);
    ck_assert_int_eq(listener_set_mode(a, 0600), 0);
    listener_unref(b);
    listener_unref(a);
}
END_TEST

START_TEST(the_last_reference_closes_the_port)
{
    struct listener *listener = open_good("127.0.0.1:0", 0);
    char *bound = strdup(listener->bound);

    ck_assert_ptr_eq(listener_ref(listener), listener);
    listener_unref(listener);
    ck_assert_int_eq(connect_to(bound), 0);
    listener_unref(listener);
    ck_assert_int_eq(connect_to(bound), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    listener = open_good(bound, 0); /* and can be opened again */
    ck_assert_str_eq(listener->bound, bound);
    listener_unref(listener);
    listener_unref(NULL);
    free(bound);
}
END_TEST

START_TEST(who_is_turned_away_finds_another_listener_or_none)
{
    struct listener *leaving = open_good("127.0.0.1:0", 0), *next;
    struct conf_listener same = {.address = leaving->bound};
    struct strbuf why = {0};
    int before = stay_connected(leaving->bound), accepted;
    char byte;

    ck_assert_int_ge(before, 0);
    listener_turn_away(leaving);
    ck_assert_int_eq(connect_to(leaving->bound), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    next = listener_open_beside(&same, &why);
    ck_assert_msg(next != NULL, "%s", strbuf_cstr(&why));
    ck_assert_int_eq(connect_to(leaving->bound), 0);
    ck_assert_int_ge(accept(next->fd, NULL, NULL), 0);

    accepted = accept(leaving->fd, NULL, NULL); /* who had come before, and nobody else */
    ck_assert_int_ge(accepted, 0);
    ck_assert_int_eq(accept(leaving->fd, NULL, NULL), -1);
    ck_assert_int_eq(errno, EAGAIN);
    listener_unref(leaving);
    ck_assert_int_eq(send(accepted, "x", 1, 0), 1);
    ck_assert_int_eq(recv(before, &byte, 1, 0), 1);
    ck_assert_int_eq(connect_to(next->bound), 0);
    listener_unref(next);
}
END_TEST

START_TEST(a_unix_socket_that_turns_away_has_no_file)
{
    const char *path = support_path("leaving.sock");
    struct listener *listener = open_good(unix_address(path), 0600);

    ck_assert_int_eq(connect_unix(path), 0);
    listener_turn_away(listener);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_ge(accept(listener->fd, NULL, NULL), 0);
    listener_unref(listener);
}
END_TEST

START_TEST(a_port_in_use_is_an_error)
{
    struct listener *listener = open_good("127.0.0.1:0", 0);

    open_bad(listener->bound, EADDRINUSE, NULL);
    listener_unref(listener);
}
END_TEST

START_TEST(a_port_alone_is_every_address)
{
    struct listener *listener = open_good("0", 0);

    ck_assert_msg(!strncmp(listener->bound, "[::]:", 5) || !strncmp(listener->bound, "0.0.0.0:", 8),
                  "%s", listener->bound);
    ck_assert_int_eq(connect_to(listener->bound), 0);
    listener_unref(listener);
}
END_TEST

START_TEST(wrong_addresses_are_errors)
{
    open_bad("a..b:80", EADDRNOTAVAIL, "cannot find the host");
    open_bad("192.0.2.1:0", EADDRNOTAVAIL, NULL); /* TEST-NET-1: nobody's */
}
END_TEST

/* ---- unix sockets ---------------------------------------------------------------------------- */

START_TEST(a_unix_socket_has_its_mode_whatever_the_umask)
{
    const char *path = support_path("mode.sock");
    struct listener *listener;

    umask(0777);
    listener = open_good(unix_address(path), 0640);
    ck_assert_uint_eq(mode_of(path), 0640);
    ck_assert_str_eq(listener->bound, unix_address(path));
    ck_assert_str_eq(listener->unix_path, path);
    umask(0);
    ck_assert_int_eq(listener_set_mode(listener, 0606), 0);
    ck_assert_uint_eq(mode_of(path), 0606);
    ck_assert_int_eq(connect_unix(path), 0);
    listener_unref(listener);
    ck_assert_int_eq(access(path, F_OK), -1);
    listener = open_good(unix_address(path), 0600);
    ck_assert_uint_eq(mode_of(path), 0600);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(listener_set_mode(listener, 0600), -ENOENT);
    listener_unref(listener);
}
END_TEST

START_TEST(a_socket_that_nobody_listens_on_is_replaced)
{
    const char *path = support_path("stale.sock");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct listener *listener;
    struct sockaddr_un sun;

    fill_unix(&sun, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    close(fd);
    ck_assert_int_eq(access(path, F_OK), 0);
    listener = open_good(unix_address(path), 0600);
    ck_assert_int_eq(connect_unix(path), 0);
    listener_unref(listener);
}
END_TEST

START_TEST(a_socket_that_somebody_listens_on_stays)
{
    const char *path = support_path("live.sock");
    struct listener *listener = open_good(unix_address(path), 0600);

    open_bad(unix_address(path), EADDRINUSE, NULL);
    ck_assert_int_eq(connect_unix(path), 0);
    listener_unref(listener);
}
END_TEST

START_TEST(a_socket_whose_listener_is_too_busy_to_answer_stays)
{
    const char *path = support_path("busy.sock");
    int busy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[16], n = 0;
    struct sockaddr_un sun;

    fill_unix(&sun, path);
    ck_assert_int_eq(bind(busy, (struct sockaddr *)&sun, sizeof sun), 0);
    ck_assert_int_eq(listen(busy, 1), 0);
    do {
        ck_assert_int_lt(n, 16);
        clients[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } while (connect(clients[n++], (struct sockaddr *)&sun, sizeof sun) == 0);
    ck_assert_int_eq(errno, EAGAIN);
    open_bad(unix_address(path), EADDRINUSE, NULL);
    ck_assert_int_eq(access(path, F_OK), 0);
    while (n)
        close(clients[--n]);
    close(busy);
}
END_TEST

START_TEST(what_is_no_socket_stays)
{
    const char *path = support_write("file", "content"), *link = support_path("link");
    char content[16] = "";
    FILE *file;

    open_bad(unix_address(path), EADDRINUSE, NULL);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(content, sizeof content, file));
    fclose(file);
    ck_assert_str_eq(content, "content");
    ck_assert_int_eq(symlink(path, link), 0);
    open_bad(unix_address(link), EADDRINUSE, NULL);
    ck_assert_int_eq(access(link, F_OK), 0);
    open_bad(unix_address(support_path("none/x.sock")), ENOENT, NULL);
}
END_TEST

START_TEST(a_file_that_took_the_sockets_place_stays)
{
    const char *path = support_path("taken.sock");
    struct listener *first = open_good(unix_address(path), 0600), *second;

    ck_assert_int_eq(unlink(path), 0);
    second = open_good(unix_address(path), 0600);
    listener_unref(first);
    ck_assert_int_eq(connect_unix(path), 0);
    listener_unref(second);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_stopped_listener_leaves_duplicates_at_work)
{
    const char *path = support_path("stopped.sock");
    struct listener *first = open_good(unix_address(path), 0600), *second;
    int duplicate = dup(first->fd);

    listener_stop(first);
    ck_assert_int_lt(first->fd, 0);
    ck_assert_int_eq(access(path, F_OK), -1);
    second = open_good(unix_address(path), 0600);
    listener_stop(first);
    listener_unref(first);
    ck_assert_int_eq(connect_unix(path), 0);
    listener_unref(second);
    close(duplicate);
    first = open_good("127.0.0.1:0", 0);
    duplicate = dup(first->fd);
    listener_stop(first);
    ck_assert_int_eq(connect_to(first->bound), 0);
    close(duplicate);
    ck_assert_int_eq(connect_to(first->bound), -1);
    listener_unref(first);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        port_0_is_chosen_and_told,
        the_last_reference_closes_the_port,
        who_is_turned_away_finds_another_listener_or_none,
        a_unix_socket_that_turns_away_has_no_file,
        a_port_in_use_is_an_error,
        a_port_alone_is_every_address,
        wrong_addresses_are_errors,
        a_unix_socket_has_its_mode_whatever_the_umask,
        a_socket_that_nobody_listens_on_is_replaced,
        a_socket_that_somebody_listens_on_stays,
        a_socket_whose_listener_is_too_busy_to_answer_stays,
        what_is_no_socket_stays,
        a_file_that_took_the_sockets_place_stays,
        a_stopped_listener_leaves_duplicates_at_work,
    };

    return support_run("listener", tests, COUNT_OF(tests));
}
