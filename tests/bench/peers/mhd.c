/* libmicrohttpd peer. MODE=loop: one thread with epoll. MODE=pool: THREADS threads, each with an epoll
 * of its own and its share of the connections; a handler that blocks holds up all of that share. */
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char file_path[4096];

static int64_t thread_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void spin(void)
{
    int64_t until = thread_ns() + 1000000;

    while (thread_ns() < until)
        ;
}

static struct MHD_Response *file_response(void)
{
    struct stat st;
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0)
        return NULL;
    return MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **state)
{
    static int seen;
    static const struct timespec nap = {.tv_nsec = 50000000};
    struct MHD_Response *response;
    enum MHD_Result result;

    (void)arg, (void)method, (void)version, (void)data, (void)len;
    if (!*state) { /* the head alone: an answer is wanted at the next call */
        *state = &seen;
        return MHD_YES;
    }
    if (!strcmp(url, "/sleep"))
        nanosleep(&nap, NULL);
    else if (!strcmp(url, "/spin"))
        spin();
    if (!strcmp(url, "/file16k"))
        response = file_response();
    else
        response = MHD_create_response_from_buffer(12, "Hello World!", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

int main(void)
{
    const char *mode = getenv("MODE"), *port = getenv("PORT"), *threads = getenv("THREADS");
    const char *files = getenv("FILES");
    int pool = mode && !strcmp(mode, "pool"), sig;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, 18000, NULL},
        {pool ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads ? atoi(threads) : 1, NULL},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_Daemon *daemon;
    sigset_t stop;

    if (!port || !files)
        return EXIT_FAILURE;
    snprintf(file_path, sizeof file_path, "%s/file16k", files);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, (uint16_t)atoi(port),
                              NULL, NULL, answer, NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!daemon) {
        fputs("mhd: cannot start\n", stderr);
        return EXIT_FAILURE;
    }
    sigwait(&stop, &sig);
    MHD_stop_daemon(daemon);
    return EXIT_SUCCESS;
}
