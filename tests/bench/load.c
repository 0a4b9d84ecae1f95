/* A load generator for latencies: `load -h` tells the options.
 *
 * DESIGN. One thread, one epoll, plain sockets to 127.0.0.1. Without -r it is a closed loop: each client
 * sends its next request when it has the answer to the last one, the paths in turn. With -r it is an open
 * loop: requests are due at random moments (exponential gaps, the same sequence in every run) whatever has
 * become of those before, and latency counts from the moment at which a request was due. So a server that
 * stalls pays for every request that it made late, not for one alone. Idle connections are used again, last
 * one first; when there is none a new one is made, up to -c; past that requests wait, and the wait counts.
 *
 * Prints one JSON object; times are in seconds. */
#include "clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_PATHS 16
#define MAX_HEAD 8192

struct path {
    char *name, *request;
    double weight;
};

struct sample {
    int64_t due, latency;
    int path;
    int status; /* 0: no answer */
};

enum state { CLOSED, CONNECTING, IDLE, WAITING, READING };

struct client {
    int fd;
    enum state state;
    bool used, closing; /* has carried a request before; ends after this answer */
    bool pending;       /* has a request that is not answered: `sample` */
    size_t sample;
    size_t have;       /* bytes of the head in buf */
    int64_t body_left; /* -1: until the end of the connection */
    char buf[MAX_HEAD];
};

static struct {
    int clients, port;
    long requests;
    double seconds, rate, limit, timeout;
} option;

static struct path paths[MAX_PATHS];
static int path_count;
static struct sample *samples;
static size_t sample_count, sample_room, begun, finished, retries;
static struct client *clients;
static int *idle, idle_count, opened;
static int epoll_fd, timer_fd;
static int64_t began, stop_at, last_end;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void *checked(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

static size_t add_sample(int64_t due, int path)
{
    if (sample_count == sample_room) {
        sample_room = sample_room ? sample_room * 2 : 4096;
        samples = checked(realloc(samples, sample_room * sizeof *samples));
    }
    samples[sample_count] = (struct sample){.due = due, .latency = -1, .path = path};
    return sample_count++;
}

/* ---- connections ---- */

static void watch(struct client *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(c - clients)};

    if (epoll_ctl(epoll_fd, operation, c->fd, &event) != 0)
        die("epoll_ctl");
}

static void disconnect(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
}

static void finish(struct client *c, int status)
{
    struct sample *s = &samples[c->sample];

    last_end = clock_now_ns();
    s->latency = last_end - s->due;
    s->status = status;
    c->pending = false;
    finished++;
}

static void transmit(struct client *c)
{
    const struct path *path = &paths[samples[c->sample].path];
    size_t len = strlen(path->request);

    c->state = WAITING;
    c->have = 0;
    if (send(c->fd, path->request, len, MSG_NOSIGNAL) != (ssize_t)len && errno != EPIPE &&
        errno != ECONNRESET)
        die("send"); /* the socket is empty, the request small; of a reset the read will tell */
}

static void open_connection(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)option.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    opened++;
    c->used = false;
    c->state = CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        die("connect");
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Whether a connection was there for this request; else it has to wait for one. */
static bool start(size_t sample)
{
    struct client *c;

    if (!idle_count)
        return false;
    c = &clients[idle[--idle_count]];
    c->sample = sample;
    c->pending = true;
    if (c->state == CLOSED)
        open_connection(c);
    else
        transmit(c);
    return true;
}

/* Makes the client free for the next request. Those that are not connected come last. */
static void release(struct client *c)
{
    if (c->closing)
        disconnect(c);
    c->used = true;
    if (c->state == CLOSED) {
        memmove(idle + 1, idle, (size_t)idle_count++ * sizeof *idle);
        idle[0] = (int)(c - clients);
    } else {
        c->state = IDLE;
        idle[idle_count++] = (int)(c - clients);
    }
}

static void next_request(int64_t now)
{
    if (option.rate > 0) {
        while (begun < sample_count && samples[begun].due <= now && start(begun))
            begun++;
        return;
    }
    while (idle_count && (option.requests ? (long)begun < option.requests : now < stop_at)) {
        start(add_sample(clock_now_ns(), (int)(begun % (size_t)path_count)));
        begun++;
    }
}

/* ---- answers ---- */

/* The connection ended with a request under way. A server may close an idle connection at any time, so
 * what meets that on a used one is sent again, once, on a new one; the time still counts from its due. */
static void broken(struct client *c)
{
    bool again = c->used && c->state == WAITING && c->have == 0;

    disconnect(c);
    if (again) {
        retries++;
        open_connection(c);
        return;
    }
    finish(c, 0);
    c->closing = true;
    release(c);
}

static const char *field(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? at + strlen(name) : NULL;
}

static void take_head(struct client *c)
{
    char *end = memmem(c->buf, c->have, "\r\n\r\n", 4);
    const char *length, *connection;

    if (!end) {
        if (c->have == sizeof c->buf - 1) {
            fputs("load: the head of an answer is too long\n", stderr);
            exit(EXIT_FAILURE);
        }
        return;
    }
    *end = '\0';
    length = field(c->buf, "\r\nContent-Length:");
    connection = field(c->buf, "\r\nConnection:");
    c->closing = connection && strcasestr(connection, "close");
    if (!length && !c->closing) {
        fprintf(stderr, "load: an answer without Content-Length:\n%s\n", c->buf);
        exit(EXIT_FAILURE);
    }
    c->body_left = length ? atoll(length) - (int64_t)(c->have - (size_t)(end + 4 - c->buf)) : -1;
    c->state = READING;
}

static void readable(struct client *c)
{
    static char drain[65536];
    bool in_head = c->state == WAITING;
    ssize_t n = in_head ? recv(c->fd, c->buf + c->have, sizeof c->buf - 1 - c->have, 0)
                        : recv(c->fd, drain, sizeof drain, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (c->state == IDLE) { /* closed by the server; found closed when it is next wanted */
        disconnect(c);
        return;
    }
    if (n <= 0 && !(c->state == READING && c->body_left < 0)) {
        broken(c);
        return;
    }
    if (in_head) {
        c->have += (size_t)n;
        take_head(c);
    } else if (c->body_left > 0) {
        c->body_left -= n;
    } else if (n <= 0) {
        c->body_left = 0;
    }
    if (c->state == READING && c->body_left == 0) {
        finish(c, atoi(c->buf + strlen("HTTP/1.1 ")));
        release(c);
    }
}

static void connected(struct client *c)
{
    int error = 0;
    socklen_t len = sizeof error;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error && !c->pending) {
        errno = error;
        die("connect");
    }
    if (error) {
        broken(c);
        return;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    if (c->pending)
        transmit(c);
    else
        release(c);
}

/* ---- running ---- */

static void arm(int64_t when)
{
    struct itimerspec timer = {.it_value = clock_to_timespec(when)};

    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &timer, NULL) != 0)
        die("timerfd_settime");
}

/* Waits up to `limit` for events and handles them. */
static void turn(int64_t limit)
{
    struct epoll_event events[256];
    int64_t left = limit - clock_now_ns();
    int count = epoll_wait(epoll_fd, events, 256, left > 0 ? (int)(left / 1000000) + 1 : 0);

    for (int i = 0; i < count; i++) {
        struct client *c = &clients[events[i].data.u32];
        uint64_t fired;

        if (events[i].data.u32 == UINT32_MAX) {
            if (read(timer_fd, &fired, sizeof fired) < 0 && errno != EAGAIN)
                die("timer");
        } else if (c->state == CONNECTING) {
            connected(c);
        } else if (c->fd >= 0) {
            readable(c);
        }
    }
}

static double uniform(void)
{
    static uint64_t x = 88172645463325252ULL; /* the same requests in every run */

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (double)((x >> 11) + 1) / 9007199254740993.0;
}

static void plan(void)
{
    double at = 0, whole = 0;

    for (int i = 0; i < path_count; i++)
        whole += paths[i].weight;
    while ((at -= log(uniform()) / option.rate) < option.seconds) {
        double pick = uniform() * whole;
        int path = 0;

        while (path < path_count - 1 && (pick -= paths[path].weight) > 0)
            path++;
        add_sample(began + (int64_t)(at * 1e9), path);
    }
}

static void prepare(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd < 0 || timer_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) != 0)
        die("epoll");
    clients = checked(calloc((size_t)option.clients, sizeof *clients));
    idle = checked(calloc((size_t)option.clients, sizeof *idle));
    for (int i = option.clients - 1; i >= 0; i--) {
        clients[i].fd = -1;
        idle[idle_count++] = i;
    }
}

static void run_closed(void)
{
    int64_t patience = clock_now_ns() + (int64_t)(option.timeout * 1e9);
    size_t before = 0;

    idle_count = 0;
    for (int i = 0; i < option.clients; i++)
        open_connection(&clients[i]);
    while (idle_count < option.clients && clock_now_ns() < patience)
        turn(patience);
    if (idle_count < option.clients) {
        fputs("load: the server does not take all connections\n", stderr);
        exit(EXIT_FAILURE);
    }
    began = clock_now_ns();
    stop_at = began + (int64_t)(option.seconds * 1e9);
    do {
        next_request(clock_now_ns());
        if (finished == begun)
            return;
        if (finished != before)
            patience = clock_now_ns() + (int64_t)(option.timeout * 1e9);
        before = finished;
        turn(patience);
    } while (finished != before || clock_now_ns() < patience);
}

static void run_open(void)
{
    int64_t patience;

    began = clock_now_ns() + 10 * NS_PER_MS;
    plan();
    stop_at = began + (int64_t)(option.seconds * 1e9);
    patience = stop_at + (int64_t)(option.timeout * 1e9);
    while (finished < sample_count && clock_now_ns() < patience) {
        next_request(clock_now_ns());
        if (begun < sample_count && samples[begun].due > clock_now_ns())
            arm(samples[begun].due);
        turn(patience);
    }
}

/* ---- report ---- */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double percentile(const int64_t *sorted, size_t count, double percent)
{
    size_t rank = (size_t)ceil((double)count * percent / 100);

    return count ? (double)sorted[rank ? rank - 1 : 0] / 1e9 : 0;
}

static void count_up(json_t *object, const char *key)
{
    json_object_set_new(object, key,
                        json_integer(json_integer_value(json_object_get(object, key)) + 1));
}

static json_t *report_path(int path)
{
    static const struct {
        const char *name;
        double percent;
    } wanted[] = {{"p50", 50}, {"p75", 75},     {"p90", 90}, {"p95", 95},
                  {"p99", 99}, {"p99.9", 99.9}, {"max", 100}};
    int64_t *good = checked(malloc((sample_count + 1) * sizeof *good)), in_time = 0, sum = 0,
            sent = 0;
    json_t *status = json_object(), *all = json_object();
    size_t count = 0;
    char key[16];

    for (size_t i = 0; i < sample_count; i++) {
        const struct sample *s = &samples[i];

        if (s->path != path)
            continue;
        sent++;
        snprintf(key, sizeof key, "%d", s->status);
        count_up(status, s->status ? key : "none");
        if (s->status == 200) {
            good[count++] = s->latency;
            sum += s->latency;
            in_time += option.limit > 0 && (double)s->latency <= option.limit * 1e6;
        }
    }
    qsort(good, count, sizeof *good, ascending);
    json_object_set_new(all, "sent", json_integer(sent));
    json_object_set_new(all, "ok", json_integer((json_int_t)count));
    json_object_set_new(all, "status", status);
    if (option.limit > 0)
        json_object_set_new(all, "in_time", json_integer(in_time));
    json_object_set_new(all, "mean", json_real(count ? (double)sum / 1e9 / (double)count : 0));
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        json_object_set_new(all, wanted[i].name,
                            json_real(percentile(good, count, wanted[i].percent)));
    free(good);
    return all;
}

static void report(void)
{
    json_t *root = json_object(), *each = json_object();

    for (int i = 0; i < path_count; i++)
        json_object_set_new(each, paths[i].name, report_path(i));
    json_object_set_new(root, "seconds", json_real((double)(last_end - began) / 1e9));
    json_object_set_new(root, "requests", json_integer((json_int_t)sample_count));
    json_object_set_new(root, "answered", json_integer((json_int_t)finished));
    json_object_set_new(root, "connections", json_integer(opened));
    json_object_set_new(root, "retries", json_integer((json_int_t)retries));
    json_object_set_new(root, "paths", each);
    json_dumpf(root, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(root);
}

/* ---- command line ---- */

static const char usage_text[] =
    "usage: load [options] PORT PATH[=WEIGHT]...\n"
    "  -c N      connections; with -r at most so many (1)\n"
    "  -n N      requests altogether; without -r alone\n"
    "  -s S      seconds of sending, instead of -n (1)\n"
    "  -r RATE   open loop: so many requests a second, at random moments\n"
    "  -l MS     count the answers that came within MS milliseconds\n"
    "  -t S      how long to wait while no answer comes, or with -r for the last ones (10)\n";

static void usage(const char *what)
{
    fprintf(stderr, "load: wrong %s\n%s", what, usage_text);
    exit(64);
}

static double number(const char *text, double least, double most, const char *what)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= least && value <= most))
        usage(what);
    return value;
}

static void add_path(char *text)
{
    char *weight = strchr(text, '=');
    struct path *path = &paths[path_count];

    if (path_count++ == MAX_PATHS)
        usage("number of paths");
    path->weight = 1;
    if (weight) {
        *weight++ = '\0';
        path->weight = number(weight, 0, 1e9, "weight");
    }
    path->name = text;
    if (asprintf(&path->request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", text) < 0)
        die("memory");
}

static void read_options(int argc, char **argv)
{
    static struct {
        char letter;
        double least, most, value;
    } numbers[] = {{'c', 1, 1e5, 1},     {'n', 1, 1e8, 0},     {'s', 0.001, 1e5, 1},
                   {'r', 0.001, 1e6, 0}, {'l', 0.001, 1e6, 0}, {'t', 0, 1e5, 10}};
    const size_t count = sizeof numbers / sizeof *numbers;
    int letter;

    while ((letter = getopt(argc, argv, "c:n:s:r:l:t:h")) != -1) {
        char what[] = {'-', (char)letter, '\0'};
        size_t i = 0;

        while (i < count && numbers[i].letter != letter)
            i++;
        if (i < count) {
            numbers[i].value = number(optarg, numbers[i].least, numbers[i].most, what);
        } else if (letter == 'h') {
            fputs(usage_text, stdout);
            exit(EXIT_SUCCESS);
        } else {
            usage("option");
        }
    }
    option.clients = (int)numbers[0].value;
    option.requests = (long)numbers[1].value;
    option.seconds = numbers[2].value;
    option.rate = numbers[3].value;
    option.limit = numbers[4].value;
    option.timeout = numbers[5].value;
    if (argc - optind < 2 || (option.rate > 0 && option.requests))
        usage("arguments");
    option.port = (int)number(argv[optind], 1, 65535, "port");
    for (int i = optind + 1; i < argc; i++)
        add_path(argv[i]);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    prepare();
    if (option.rate > 0)
        run_open();
    else
        run_closed();
    report();
    return EXIT_SUCCESS;
}
