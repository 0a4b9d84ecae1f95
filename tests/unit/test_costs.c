/* What a request costs beside instructions: allocations, locks and system calls of ours, counted while the
 * whole daemon runs in this process.  The linker leads the calls of our own objects, libevent's memory
 * included, through the counters here (see the Makefile). */
#include "action.h"
#include "daemon.h"
#include "futex.h"
#include "loop.h"
#include "reload.h"
#include "support.h"

#include <arpa/inet.h>
#include <event2/http.h>
#include <poll.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- counting -------------------------------------------------------------------------------- */

enum what { ALLOCATIONS, LOCKS, RECEIVES, SENDS, WAKES, OTHER_CALLS, ENDED_BY_EVHTTP, WHATS };

/* By loops, and by all other threads but those of tests. */
enum whose { LOOPS, WORKERS, WHOSE };

static _Atomic unsigned counts[WHOSE][WHATS];
static _Thread_local bool is_test;

static void count(enum what what)
{
    if (!is_test)
        atomic_fetch_add(&counts[loop_current() ? LOOPS : WORKERS][what], 1);
}

static unsigned counted(enum whose whose, enum what what)
{
    return atomic_load(&counts[whose][what]);
}

static void count_from_zero(void)
{
    for (int whose = 0; whose < WHOSE; whose++)
        for (int what = 0; what < WHATS; what++)
            atomic_store(&counts[whose][what], 0);
}

/* What the linker puts in place of NAME, and NAME itself; the names are the linker's. */
#define COUNTED(what, type, name, parameters, arguments) \
    type __real_##name parameters;                       \
    type __wrap_##name parameters;                       \
    type __wrap_##name parameters                        \
    {                                                    \
        count(what);                                     \
        return __real_##name arguments;                  \
    }

/* NOLINTBEGIN(bugprone-reserved-identifier) */
COUNTED(ALLOCATIONS, void *, malloc, (size_t size), (size))
COUNTED(ALLOCATIONS, void *, calloc, (size_t n, size_t size), (n, size))
COUNTED(ALLOCATIONS, void *, realloc, (void *block, size_t size), (block, size))
COUNTED(LOCKS, int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
COUNTED(RECEIVES, ssize_t, recv, (int fd, void *data, size_t len, int flags),
        (fd, data, len, flags))
COUNTED(RECEIVES, ssize_t, __recv_chk, (int fd, void *data, size_t len, size_t room, int flags),
        (fd, data, len, room, flags))
COUNTED(SENDS, ssize_t, send, (int fd, const void *data, size_t len, int flags),
        (fd, data, len, flags))
COUNTED(SENDS, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
        (fd, message, flags))
COUNTED(OTHER_CALLS, ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
COUNTED(OTHER_CALLS, int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))

void __wrap_evhttp_send_reply_end(struct evhttp_request *request);
void __real_evhttp_send_reply_end(struct evhttp_request *request);
void __wrap_evhttp_send_reply_end(struct evhttp_request *request)
{
    count(ENDED_BY_EVHTTP);
    __real_evhttp_send_reply_end(request);
}

int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    count(OTHER_CALLS);
    return __real_ioctl(fd, request, argument);
}

/* Of ours, futex.h alone calls it. */
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list list;

    va_start(list, number);
    for (size_t i = 0; i < COUNT_OF(a); i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && ((int)a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE)
        count(WAKES);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- a daemon and its clients ---------------------------------------------------------------- */

enum { CLIENTS = 30, WARM_UP = 50, REQUESTS = 500 };

static struct daemon daemon_;
static int clients[CLIENTS];

static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void begin(const char *server)
{
    static const char rest[] =
        "listeners: { main: { address = \"127.0.0.1:0\"; }; };\n"
        "pools: { default: { threads = 2; }; };\n"
        "routes: ( { path = \"/hello\"; action = \"respond\"; body = \"Hello World!\"; },\n"
        "          { path = \"/noop\"; action = \"sleep\"; duration = 0; },\n"
        "          { path = \"/limited\"; action = \"sleep\"; duration = 0; timeout = \"1h\"; } );\n";
    struct strbuf text = {0};
    struct conf_source source = {.find_action = registry_find, .action_at = registry_at};
    struct reload_failure failure = {0};
    struct conf_faults faults = {0};
    struct conf *conf;

    is_test = true;
    strbuf_addf(&text, "server: { log_level = \"error\"; %s };\n%s", server, rest);
    source.path = support_write("costs.conf", strbuf_cstr(&text));
    strbuf_free(&text);
    conf = conf_load(&source, &faults);
    ck_assert_ptr_nonnull(conf);
    ck_assert_int_eq(daemon_init(&daemon_, &source), 0);
    ck_assert_int_eq(daemon_start_loops(&daemon_, conf), 0);
    ck_assert_int_eq(reload_apply(&daemon_, conf, &failure), 0);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(daemon_.snapshot->bound[0]);
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    daemon_stop(&daemon_);
}

static void send_request(int client, const char *path, const char *fields)
{
    struct strbuf text = {0};

    strbuf_addf(&text, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, fields);
    ck_assert_int_eq(send(client, strbuf_cstr(&text), text.len, MSG_NOSIGNAL), (ssize_t)text.len);
    strbuf_free(&text);
}

/* Every answer comes in one piece. */
static void receive_answer(int client)
{
    char answer[4096];
    ssize_t n = recv(client, answer, sizeof answer - 1, 0);

    ck_assert_int_gt(n, 0);
    answer[n] = '\0';
    ck_assert_contains(answer, "HTTP/1.1 20");
}

static void ask(const char *path, const char *fields, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        send_request(clients[0], path, fields);
        receive_answer(clients[0]);
    }
}

/* Every connection is accepted then, and the loop has looked at its lag for the first time. */
static void warm_up(const char *path, const char *fields)
{
    for (int i = 0; i < CLIENTS; i++) {
        send_request(clients[i], path, fields);
        receive_answer(clients[i]);
    }
    do
        ask(path, fields, WARM_UP);
    while (!atomic_load(&daemon_.vitals.meters.loops[0]));
    count_from_zero();
}

/* small_memory.h keeps nothing then. */
static void check_allocations(enum whose whose)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_uint_eq(counted(whose, ALLOCATIONS), 0);
#else
    (void)whose;
#endif
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const char browser[] =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Cache-Control: max-age=0\r\n";

static void check_answers_from_the_loop(const char *fields)
{
    warm_up("/hello", fields);
    ask("/hello", fields, REQUESTS);
    check_allocations(LOOPS);
    ck_assert_uint_eq(counted(LOOPS, LOCKS), 0);
    ck_assert_uint_eq(counted(LOOPS, RECEIVES), REQUESTS);
    ck_assert_uint_eq(counted(LOOPS, SENDS), REQUESTS);
    ck_assert_uint_eq(counted(LOOPS, WAKES), 0);
    ck_assert_uint_eq(counted(LOOPS, OTHER_CALLS), 0);
    ck_assert_uint_eq(counted(LOOPS, ENDED_BY_EVHTTP), 0);
}

START_TEST(an_answer_from_the_loop_is_one_receive_and_one_send)
{
    begin("");
    check_answers_from_the_loop("");
    check_answers_from_the_loop(browser);
    end();
}
END_TEST

/* Its request is ended with the first answer, and the next one is kept from answer to answer. */
START_TEST(evhttp_runs_the_connection_not_each_request)
{
    begin("header_timeout = \"1h\";");
    count_from_zero();
    ask("/hello", "", 5);
    ask("/noop", "", 5);
    ck_assert_uint_eq(counted(LOOPS, ENDED_BY_EVHTTP), 1);
    end();
}
END_TEST

static bool try_to_ask(int client)
{
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[4096];

    return send(client, request, sizeof request - 1, MSG_NOSIGNAL) > 0 &&
           recv(client, answer, sizeof answer, 0) > 0;
}

static bool try_to_return(int client)
{
    bool first = try_to_ask(client);

    return first && try_to_ask(client);
}

/* The timer first comes after header_timeout.  When this thread is late for that, it tries again. */
START_TEST(an_idle_connection_keeps_nothing_of_evhttps)
{
    bool ended = false;

    begin("header_timeout = 0.1;");
    while (!ended) {
        int client = connect_to(daemon_.snapshot->bound[0]);
        unsigned before = counted(LOOPS, ENDED_BY_EVHTTP);

        if (try_to_return(client))
            for (int ms = 0; ms < 1000 && !ended; ms++) {
                poll(NULL, 0, 1);
                ended = counted(LOOPS, ENDED_BY_EVHTTP) == before + 2;
            }
        if (ended)
            ck_assert(try_to_ask(client));
        close(client);
    }
    end();
}
END_TEST

/* The writer of the access log allocates as it likes, on its own thread. */
START_TEST(an_access_log_costs_the_loop_no_lock)
{
    struct strbuf server = {0};

    strbuf_addf(&server, "access_log = \"%s\"; server_timing = true;", support_path("access.log"));
    begin(strbuf_cstr(&server));
    strbuf_free(&server);
    warm_up("/hello", browser);
    ask("/hello", browser, REQUESTS);
    check_allocations(LOOPS);
    ck_assert_uint_eq(counted(LOOPS, LOCKS), 0);
    ck_assert_uint_eq(counted(LOOPS, SENDS), REQUESTS);
    end();
}
END_TEST

/* One after the other, so that each is a batch of its own: the pool's lock once to submit; the worker
 * wakes the loop once. */
static void check_hand_over(const char *path)
{
    warm_up(path, "");
    ask(path, "", REQUESTS);
    check_allocations(LOOPS);
    check_allocations(WORKERS);
    ck_assert_uint_eq(counted(LOOPS, RECEIVES), REQUESTS);
    ck_assert_uint_eq(counted(LOOPS, SENDS), REQUESTS);
    ck_assert_uint_eq(counted(LOOPS, LOCKS), REQUESTS);
    ck_assert_uint_le(counted(LOOPS, WAKES), REQUESTS);
    ck_assert_uint_eq(counted(LOOPS, OTHER_CALLS), 0);
    ck_assert_uint_le(counted(WORKERS, OTHER_CALLS), REQUESTS);
}

START_TEST(a_hand_over_is_one_lock_and_at_most_one_wake_up_each_way)
{
    begin("");
    check_hand_over("/noop");
    end();
}
END_TEST

struct stop {
    struct mail mail;
    sem_t reached, go_on;
};

static void wait_to_go_on(struct mail *mail)
{
    struct stop *stop = container_of(mail, struct stop, mail);

    sem_post(&stop->reached);
    sem_wait(&stop->go_on);
}

/* Holds the loop until so many requests lie before it; it finds them in one turn. */
START_TEST(a_turn_hands_over_all_its_tasks_at_once)
{
    struct stop stop = {.mail.deliver = wait_to_go_on};

    begin("");
    warm_up("/noop", "");
    sem_init(&stop.reached, 0, 0);
    sem_init(&stop.go_on, 0, 0);
    mailbox_post(&daemon_.loops[0]->mailbox, &stop.mail);
    sem_wait(&stop.reached);
    for (int i = 0; i < CLIENTS; i++)
        send_request(clients[i], "/noop", "");
    count_from_zero();
    sem_post(&stop.go_on);
    for (int i = 0; i < CLIENTS; i++)
        receive_answer(clients[i]);
    ck_assert_uint_eq(counted(LOOPS, RECEIVES), CLIENTS);
    ck_assert_uint_eq(counted(LOOPS, LOCKS), 1);
    ck_assert_uint_le(counted(LOOPS, WAKES), 1);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_answer_from_the_loop_is_one_receive_and_one_send,
        evhttp_runs_the_connection_not_each_request,
        an_idle_connection_keeps_nothing_of_evhttps,
        an_access_log_costs_the_loop_no_lock,
        a_hand_over_is_one_lock_and_at_most_one_wake_up_each_way,
        a_turn_hands_over_all_its_tasks_at_once,
    };

    return support_run("costs", tests, COUNT_OF(tests));
}
