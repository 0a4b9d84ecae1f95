/* Streams between a worker and its client, on a real loop: actions made for these tests run in this
 * process, and the tests talk to them over a socket. */
#include "action.h"
#include "answer_stream.h"
#include "body_stream.h"
#include "conn.h"
#include "daemon.h"
#include "reload.h"
#include "server.h"
#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the actions ----------------------------------------------------------------------------- */

/* What an action does is the test's to say; it runs on a worker's thread. */
static int (*script)(struct request *request);
static sem_t reached; /* posted by scripts */
static sem_t go_on;   /* waited for by scripts */
static _Atomic int result;
static _Atomic uint64_t count;

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0 && errno == EINTR)
        ;
}

static int run_script(struct request *request, const void *settings)
{
    (void)settings;
    result = script(request);
    sem_post(&reached);
    return result;
}

static const struct action action_script = {
    .conf = {.name = "script", .blocking = true, .methods = action_methods_any, .doc = "A test's."},
    .needs = ACTION_STREAMS_BODY,
    .run = run_script,
};

static const struct conf_action *find_action(const char *name)
{
    return strcmp(name, "script") ? registry_find(name) : &action_script.conf;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static struct daemon daemon_;
static int port;

static void begin(const char *server, int (*run)(struct request *request))
{
    struct conf_faults faults = {0};
    struct reload_failure failure = {0};
    struct strbuf text = {0};
    struct conf_source source = {.find_action = find_action, .action_at = registry_at};
    struct conf *conf;

    signal(SIGPIPE, SIG_IGN);
    strbuf_addf(
        &text,
        "server: { %s };\n"
        "listeners: { main: { address = \"127.0.0.1:0\"; }; };\n"
        "pools: { default: { threads = 2; }; };\n"
        "routes: ( { path = \"/script\"; action = \"script\"; max_body_size = \"100m\"; },\n"
        "          { path = \"/late\"; action = \"script\"; timeout = \"20ms\"; },\n"
        "          { path = \"/hello\"; action = \"respond\"; body = \"hello\"; } );",
        server);
    source.path = support_write("streams.conf", strbuf_cstr(&text));
    strbuf_free(&text);
    script = run;
    sem_init(&reached, 0, 0);
    sem_init(&go_on, 0, 0);
    ck_assert_int_eq(daemon_init(&daemon_, &source), 0);
    conf = conf_load(&source, &faults);
    ck_assert_msg(conf != NULL, "%s", faults.count ? faults.items[0].text : "?");
    ck_assert_int_eq(daemon_start_loops(&daemon_, conf), 0);
    ck_assert_int_eq(reload_apply(&daemon_, conf, &failure), 0);
    port = (int)strtol(strrchr(daemon_.snapshot->bound[0], ':') + 1, NULL, 10);
}

static void drain_call(struct loop *loop, void *arg)
{
    (void)arg;
    server_drain(loop);
}

static void busy_call(struct loop *loop, void *busy)
{
    *(bool *)busy |= loop->in_flight || loop->last_turns;
}

static void end(void)
{
    bool busy = true;

    daemon_call_loops(&daemon_, drain_call, NULL);
    while (busy) {
        busy = false;
        daemon_call_loops(&daemon_, busy_call, &busy);
    }
    daemon_stop(&daemon_);
}

/* ---- the client ------------------------------------------------------------------------------ */

static char got[1 << 16];
static size_t got_len;

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    got_len = 0;
    return fd;
}

static void say_bytes(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        ck_assert_int_gt(n, 0);
        data += n;
        len -= (size_t)n;
    }
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

static ssize_t hear(int fd)
{
    ssize_t n = recv(fd, got + got_len, sizeof got - 1 - got_len, 0);

    got_len += n > 0 ? (size_t)n : 0;
    got[got_len] = '\0';
    return n;
}

/* Reads until this stands at the end of what has come. */
static void hear_until(int fd, const char *tail)
{
    size_t len = strlen(tail);

    while (got_len < len || memcmp(got + got_len - len, tail, len) != 0)
        ck_assert_msg(hear(fd) > 0, "the connection ends behind: %s", got);
}

/* Reads to the end; 0, or the errno that ends it. */
static int hear_end(int fd)
{
    ssize_t n;

    while ((n = hear(fd)) > 0)
        ;
    return n < 0 ? errno : 0;
}

static const char *body_of_answer(void)
{
    const char *end_of_head = strstr(got, "\r\n\r\n");

    ck_assert_msg(end_of_head != NULL, "no head: %s", got);
    return end_of_head + 4;
}

#define GET "GET /script HTTP/1.1\r\nHost: x\r\n\r\n"

static void check_alive(int fd)
{
    got_len = 0;
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    hear_until(fd, "\r\n\r\nhello");
}

/* ---- answers --------------------------------------------------------------------------------- */

static int write_text(struct request *request, const char *text)
{
    return answer_write(request, text, strlen(text));
}

static int begin_answer(struct request *request, int64_t length)
{
    response_static(request, 200, "text/plain", NULL, 0);
    return answer_begin(request, length);
}

static int answer_in_steps(struct request *request)
{
    int r = begin_answer(request, ANSWER_UNKNOWN);

    if (!r)
        r = write_text(request, "one");
    wait_for(&go_on);
    if (!r)
        r = write_text(request, "two");
    answer_add_trailer(request, "X-Exit", "0");
    return r;
}

START_TEST(an_answer_goes_out_while_it_is_made)
{
    int fd;

    begin("server_timing = true;", answer_in_steps);
    fd = dial();
    say(fd, GET);
    hear_until(fd, "\r\n\r\n3\r\none\r\n");
    ck_assert_contains(got, "Server-Timing: queue;dur="); /* so far */
    ck_assert_contains(got, "HTTP/1.1 200 OK\r\n");
    ck_assert_contains(got, "Transfer-Encoding: chunked\r\n");
    ck_assert_lacks(got, "Content-Length");
    sem_post(&go_on);
    hear_until(fd, "one\r\n3\r\ntwo\r\n0\r\nX-Exit: 0\r\n\r\n");
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

START_TEST(for_http_1_0_the_end_is_the_end_of_the_connection)
{
    int fd;

    begin("", answer_in_steps);
    fd = dial();
    say(fd, "GET /script HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear_until(fd, "\r\n\r\none");
    sem_post(&go_on);
    ck_assert_int_eq(hear_end(fd), 0);
    ck_assert_str_eq(body_of_answer(), "onetwo");
    ck_assert_lacks(got, "Transfer-Encoding");
    ck_assert_lacks(got, "Content-Length");
    ck_assert_contains(got, "Connection: close\r\n");
    close(fd);
    end();
}
END_TEST

START_TEST(head_gets_no_body_and_the_worker_does_not_notice)
{
    int fd;

    begin("", answer_in_steps);
    sem_post(&go_on);
    fd = dial();
    say(fd, "HEAD /script HTTP/1.1\r\nHost: x\r\n\r\n");
    hear_until(fd, "\r\n\r\n");
    ck_assert_str_eq(body_of_answer(), "");
    wait_for(&reached);
    ck_assert_int_eq(result, 0);
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

static int64_t announced;

static int answer_announced(struct request *request)
{
    int r = begin_answer(request, announced);

    return r ? r : write_text(request, "onetwo");
}

START_TEST(a_known_length_is_announced)
{
    int fd;

    announced = 6;
    begin("", answer_announced);
    fd = dial();
    say(fd, GET);
    hear_until(fd, "\r\n\r\nonetwo");
    ck_assert_contains(got, "Content-Length: 6\r\n");
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

START_TEST(too_little_breaks_the_answer_off)
{
    int fd;

    announced = 7;
    begin("", answer_announced);
    fd = dial();
    say(fd, GET);
    hear_end(fd);
    ck_assert_contains(got, "Content-Length: 7\r\n");
    ck_assert_str_eq(body_of_answer(), "onetwo");
    close(fd);
    end();
}
END_TEST

START_TEST(too_much_is_the_actions_fault)
{
    int fd;

    announced = 5;
    begin("", answer_announced);
    fd = dial();
    say(fd, GET);
    hear_until(fd, "}"); /* problem details */
    ck_assert_contains(got, "HTTP/1.1 500 ");
    ck_assert_int_eq(result, -EMSGSIZE);
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

static bool write_before_failing;

static int give_up(struct request *request)
{
    int r = begin_answer(request, ANSWER_UNKNOWN);

    if (!r && write_before_failing)
        r = write_text(request, "half");
    wait_for(&go_on);
    return r ? r : -EIO;
}

START_TEST(an_early_failure_has_its_true_status)
{
    int fd;

    begin("", give_up);
    sem_post(&go_on);
    fd = dial();
    say(fd, GET);
    hear_until(fd, "}");
    ck_assert_contains(got, "HTTP/1.1 500 ");
    ck_assert_contains(got, "\"action_failed\"");
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

START_TEST(a_late_failure_does_not_look_like_the_end)
{
    static const char *const requests[] = {GET, "GET /script HTTP/1.0\r\n\r\n"};
    static const char *const starts[] = {"\r\n\r\n4\r\nhalf\r\n", "\r\n\r\nhalf"};

    write_before_failing = true;
    begin("", give_up);
    for (int i = 0; i < 2; i++) {
        int fd = dial(), error;

        say(fd, requests[i]);
        hear_until(fd, starts[i]);
        sem_post(&go_on);
        error = hear_end(fd);
        ck_assert_str_eq(body_of_answer(), starts[i] + 4);
        if (i == 1)
            ck_assert_int_eq(error, ECONNRESET);
        close(fd);
    }
    end();
}
END_TEST

/* Fills what there is room for, then reports and goes on by answer_write, to a total. */
enum { TOTAL = 24 << 20 };

static int answer_much(struct request *request)
{
    static char block[10000];
    int r = begin_answer(request, ANSWER_UNKNOWN);
    uint64_t sum = 0;
    bool full = false;

    memset(block, 'x', sizeof block);
    for (; !r && sum < TOTAL; sum += sizeof block) {
        if (!full && !answer_has_room(request)) {
            full = true;
            count = sum;
            sem_post(&reached);
        }
        r = answer_write(request, block, sizeof block);
    }
    return r;
}

START_TEST(a_slow_reader_stops_the_worker)
{
    size_t total = 0;
    ssize_t n;
    int fd;

    begin("", answer_much);
    fd = dial();
    say(fd, "GET /script HTTP/1.0\r\n\r\n");
    wait_for(&reached);
    /* The rest of what was written lies in the kernel's buffers. */
    ck_assert_uint_lt(count, TOTAL);
    while ((n = recv(fd, got, sizeof got, 0)) > 0)
        total += (size_t)n;
    ck_assert_int_eq(n, 0);
    wait_for(&reached);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_gt(total, TOTAL);
    close(fd);
    end();
}
END_TEST

START_TEST(a_client_that_leaves_ends_the_worker)
{
    int fd;

    begin("", answer_much);
    fd = dial();
    say(fd, GET);
    wait_for(&reached);
    close(fd);
    wait_for(&reached);
    ck_assert_int_eq(result, -ECANCELED);
    end();
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_cut_off)
{
    int fd;

    begin("write_timeout = \"1s\";", answer_much);
    fd = dial();
    say(fd, GET);
    wait_for(&reached); /* full */
    wait_for(&reached); /* over */
    ck_assert_int_eq(result, -ECANCELED);
    close(fd);
    end();
}
END_TEST

/* ---- bodies ---------------------------------------------------------------------------------- */

#define POST "POST /script HTTP/1.1\r\nHost: x\r\n"

static int respond_count(struct request *request)
{
    char *text = NULL;

    if (asprintf(&text, "%llu bytes.", (unsigned long long)count) < 0)
        text = NULL;
    return response_own(request, 200, "text/plain", text, text ? strlen(text) : 0);
}

/* Counts, and reports after each piece. */
static int read_body(struct request *request)
{
    const char *data;
    ssize_t n;

    count = 0;
    while ((n = body_read(request, &data)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (data[i] != 'x')
                return -EILSEQ;
        count += (uint64_t)n;
        sem_post(&reached);
    }
    if (body_read(request, &data) != n)
        return -ENOTRECOVERABLE; /* it must go on saying the same */
    return n ? (int)n : respond_count(request);
}

START_TEST(a_body_reaches_the_worker_as_it_comes)
{
    int fd;

    begin("", read_body);
    fd = dial();
    say(fd, POST "Content-Length: 5\r\n\r\nxx");
    wait_for(&reached);
    ck_assert_uint_eq(count, 2);
    say(fd, "x");
    wait_for(&reached);
    ck_assert_uint_eq(count, 3);
    say(fd, "xx");
    hear_until(fd, "5 bytes.");
    check_alive(fd);
    got_len = 0;
    say(fd, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n1\r\n");
    hear_until(fd, "");
    say(fd, "x\r\n0\r\n\r\n");
    hear_until(fd, "4 bytes.");
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

START_TEST(a_body_that_comes_with_its_head_needs_no_stream)
{
    int fd;

    begin("", read_body);
    fd = dial();
    say(fd, POST "Content-Length: 3\r\n\r\nxxx" POST "Content-Length: 0\r\n\r\n" GET);
    /* The answers may come in one piece. */
    while (!strstr(got, "3 bytes.") || !strstr(got, "0 bytes.") ||
           !strstr(strstr(got, "0 bytes.") + 1, "0 bytes."))
        ck_assert_int_gt(hear(fd), 0);
    close(fd);
    end();
}
END_TEST

static int read_late(struct request *request)
{
    wait_for(&go_on);
    return read_body(request);
}

static void full_call(struct loop *loop, void *full)
{
    struct list *link;

    list_for_each(link, &loop->conns)
        *(bool *)full |= container_of(link, struct conn, link)->body_full;
}

static bool is_full(void)
{
    bool full = false;

    daemon_call_loops(&daemon_, full_call, &full);
    return full;
}

enum { BODY = 32 << 20 };

START_TEST(a_slow_worker_stops_the_client)
{
    static char block[1 << 16];
    size_t sent = 0;
    int fd;

    memset(block, 'x', sizeof block);
    begin("", read_late);
    fd = dial();
    say(fd, POST "Content-Length: 33554432\r\n\r\n");
    while (!is_full()) {
        ssize_t n = send(fd, block, sizeof block, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        ck_assert_uint_lt(sent, BODY - sizeof block);
    }
    sem_post(&go_on);
    for (; sent < BODY; sent += sizeof block)
        say_bytes(fd, block, BODY - sent < sizeof block ? BODY - sent : sizeof block);
    hear_until(fd, "33554432 bytes.");
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

START_TEST(a_client_that_leaves_in_its_body_ends_the_worker)
{
    int fd;

    begin("half_close = \"serve\";", read_body);
    fd = dial();
    say(fd, POST "Content-Length: 3\r\n\r\nxx");
    wait_for(&reached);
    close(fd);
    wait_for(&reached);
    ck_assert_int_eq(result, -ECANCELED);
    end();
}
END_TEST

START_TEST(what_is_wrong_in_a_body_reaches_worker_and_client)
{
    int fd;

    begin("", read_body);
    fd = dial();
    say(fd, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n");
    wait_for(&reached);
    say(fd, "!\r\n");
    hear_end(fd);
    ck_assert_contains(got, "HTTP/1.1 400 ");
    ck_assert_contains(got, "Connection: close\r\n");
    wait_for(&reached);
    ck_assert(result == -EBADMSG || result == -ECANCELED);
    close(fd);
    end();
}
END_TEST

START_TEST(body_timeout_holds_for_streams)
{
    int fd;

    begin("body_timeout = \"100ms\";", read_body);
    fd = dial();
    say(fd, POST "Content-Length: 3\r\n\r\nx");
    hear_end(fd);
    ck_assert_contains(got, "HTTP/1.1 408 ");
    wait_for(&reached);
    close(fd);
    end();
}
END_TEST

/* Answers before its body is whole, and does not mind what becomes of that. */
static int answer_whatever_comes(struct request *request)
{
    int r = begin_answer(request, announced);
    const char *data;

    if (!r)
        r = write_text(request, "do");
    while (!r && body_read(request, &data) > 0)
        ;
    if (!r)
        (void)!write_text(request, "ne"); /* the task may be cancelled by now */
    return 0;
}

/* The rest of the body must not be taken for anything, when the answer has gone out whole. */
START_TEST(a_body_that_is_refused_ends_the_connection)
{
    static const char *const rests[] = {"!\r\n", ""};
    static const char more[] = "1\r\nx\r\n0\r\n\r\n" GET;

    begin("body_timeout = \"100ms\";", answer_whatever_comes);
    for (size_t i = 0; i < 2 * COUNT_OF(rests); i++) {
        bool known = i & 1;
        int fd = dial();

        announced = known ? 4 : ANSWER_UNKNOWN;
        say(fd, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n");
        hear_until(fd, known ? "\r\n\r\ndo" : "\r\n\r\n2\r\ndo\r\n");
        say(fd, rests[i / 2]);
        hear_end(fd);
        ck_assert_lacks(body_of_answer(), "HTTP/1.1");
        (void)!send(fd, more, sizeof more - 1, MSG_NOSIGNAL);
        close(fd);
        fd = dial();
        check_alive(fd);
        close(fd);
    }
    end();
}
END_TEST

START_TEST(the_client_is_asked_when_the_worker_asks)
{
    int fd;

    begin("", read_late);
    fd = dial();
    say(fd, POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    sem_post(&go_on);
    hear_until(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "xxx");
    hear_until(fd, "3 bytes.");
    check_alive(fd);
    close(fd);
    end();
}
END_TEST

static int answer_unread(struct request *request)
{
    response_static(request, 409, "text/plain", "no.", 3);
    return 0;
}

START_TEST(an_answer_without_the_body_ends_the_connection)
{
    int fd;

    begin("", answer_unread);
    fd = dial();
    say(fd, POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    ck_assert_int_eq(hear_end(fd), 0);
    ck_assert_lacks(got, "100 Continue");
    ck_assert_contains(got, "HTTP/1.1 409 ");
    ck_assert_contains(got, "Connection: close\r\n");
    close(fd);
    fd = dial();
    say(fd, POST "Content-Length: 3\r\n\r\nx");
    ck_assert_int_eq(hear_end(fd), 0);
    ck_assert_contains(got, "HTTP/1.1 409 ");
    close(fd);
    end();
}
END_TEST

/* As a worker does that has other descriptors to poll. */
static int echo(struct request *request)
{
    struct pollfd poll_fd = {.fd = task_open_poll_fd(&request->task), .events = POLLIN};
    int r = begin_answer(request, ANSWER_UNKNOWN);
    const char *data;
    uint64_t nudges;
    ssize_t n = 1;

    ck_assert_int_ge(poll_fd.fd, 0);
    while (!r && n) {
        n = body_read_now(request, &data);
        if (n > 0)
            r = answer_write(request, data, (size_t)n);
        else if (n == -EAGAIN)
            while (poll(&poll_fd, 1, -1) != 1 ||
                   read(poll_fd.fd, &nudges, sizeof nudges) != sizeof nudges)
                ;
        else
            r = (int)n;
    }
    task_close_poll_fd(&request->task);
    return r;
}

START_TEST(body_and_answer_flow_at_once)
{
    int fd;

    begin("", echo);
    fd = dial();
    say(fd, POST "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    hear_until(fd, "\r\n\r\n3\r\none\r\n");
    say(fd, "5\r\nthree\r\n");
    hear_until(fd, "\r\n5\r\nthree\r\n");
    say(fd, "0\r\n\r\n");
    hear_until(fd, "\r\n0\r\n\r\n");
    check_alive(fd);
    close(fd);
    /* A poller learns of a client that leaves. */
    fd = dial();
    say(fd, POST "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    hear_until(fd, "\r\n\r\n3\r\none\r\n");
    wait_for(&reached); /* the first one */
    close(fd);
    wait_for(&reached);
    ck_assert_int_eq(result, -ECANCELED);
    end();
}
END_TEST

/* ---- heads that are too long ------------------------------------------------------------------ */

static char long_value[100000];

static int answer_with_long_head(struct request *request)
{
    memset(long_value, 'x', sizeof long_value - 1);
    response_static(request, 200, "text/plain", "ok", 2);
    response_add_header(request, "X-Long", long_value);
    return 0;
}

static int stream_with_long_head(struct request *request)
{
    int r = answer_with_long_head(request);

    if (!r)
        r = answer_begin(request, ANSWER_UNKNOWN);
    return r ? r : write_text(request, "one");
}

START_TEST(a_head_that_is_too_long_is_the_actions_failure)
{
    int fd;

    begin("", answer_with_long_head);
    fd = dial();
    say(fd, GET);
    hear_until(fd, "\"route\":\"/script\"}");
    ck_assert_contains(got, "HTTP/1.1 500 ");
    ck_assert_lacks(got, "X-Long");
    check_alive(fd);
    script = stream_with_long_head;
    got_len = 0;
    say(fd, GET);
    hear_end(fd);
    ck_assert_uint_eq(got_len, 0);
    close(fd);
    end();
}
END_TEST

/* ---- runs that take too long ------------------------------------------------------------------ */

/* For an hour, or until it is told to stop. */
static int linger(struct request *request)
{
    return task_sleep_until(&request->task, clock_now_ns() + 3600 * NS_PER_SEC) ? 0 : -ECANCELED;
}

static int prepare_and_linger(struct request *request)
{
    int r = begin_answer(request, ANSWER_UNKNOWN);

    return r ? r : linger(request);
}

static void check_504(const char *request)
{
    int fd = dial();

    say(fd, request);
    hear_until(fd, "\"route\":\"/late\"}");
    ck_assert_contains(got, "HTTP/1.1 504 ");
    ck_assert_contains(got, "\"reason\":\"timeout\"");
    wait_for(&reached);
    ck_assert_int_eq(result, -ECANCELED);
    check_alive(fd);
    close(fd);
}

START_TEST(a_late_run_is_answered_before_its_head_is_out)
{
    begin("", linger);
    check_504("GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    script = prepare_and_linger;
    check_504("GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    end();
}
END_TEST

static int begin_and_linger(struct request *request)
{
    int r = begin_answer(request, ANSWER_UNKNOWN);

    if (!r)
        r = write_text(request, "one");
    return r ? r : linger(request);
}

START_TEST(a_late_run_is_broken_off_behind_its_head)
{
    int fd;

    begin("", begin_and_linger);
    fd = dial();
    say(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    hear_end(fd);
    ck_assert_contains(got, "HTTP/1.1 200 ");
    ck_assert_str_eq(body_of_answer(), "3\r\none\r\n"); /* without a last chunk */
    wait_for(&reached);
    ck_assert_int_eq(result, -ECANCELED);
    close(fd);
    end();
}
END_TEST

START_TEST(a_late_run_may_wait_for_its_body)
{
    int fd;

    begin("", read_body);
    fd = dial();
    say(fd, "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxx");
    wait_for(&reached);
    hear_until(fd, "\"route\":\"/late\"}");
    ck_assert_contains(got, "HTTP/1.1 504 ");
    ck_assert_contains(got, "Connection: close\r\n");
    wait_for(&reached);
    ck_assert_int_eq(result, -ECANCELED);
    close(fd);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_answer_goes_out_while_it_is_made,
        for_http_1_0_the_end_is_the_end_of_the_connection,
        head_gets_no_body_and_the_worker_does_not_notice,
        a_known_length_is_announced,
        too_little_breaks_the_answer_off,
        too_much_is_the_actions_fault,
        an_early_failure_has_its_true_status,
        a_late_failure_does_not_look_like_the_end,
        a_slow_reader_stops_the_worker,
        a_client_that_leaves_ends_the_worker,
        a_client_that_takes_nothing_is_cut_off,
        a_body_reaches_the_worker_as_it_comes,
        a_body_that_comes_with_its_head_needs_no_stream,
        a_slow_worker_stops_the_client,
        a_client_that_leaves_in_its_body_ends_the_worker,
        what_is_wrong_in_a_body_reaches_worker_and_client,
        body_timeout_holds_for_streams,
        a_body_that_is_refused_ends_the_connection,
        the_client_is_asked_when_the_worker_asks,
        an_answer_without_the_body_ends_the_connection,
        body_and_answer_flow_at_once,
        a_head_that_is_too_long_is_the_actions_failure,
        a_late_run_is_answered_before_its_head_is_out,
        a_late_run_is_broken_off_behind_its_head,
        a_late_run_may_wait_for_its_body,
    };

    return support_run("streams", tests, COUNT_OF(tests));
}
