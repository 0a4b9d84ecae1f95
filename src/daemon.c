#include "daemon.h"

#include "access_log.h"
#include "activation.h"
#include "child.h"
#include "line_writer.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void daemon_wake(void *arg)
{
    const struct daemon *daemon = arg;
    const uint64_t one = 1;

    while (write(daemon->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

int daemon_init(struct daemon *daemon, const struct conf_source *source)
{
    int r;

    *daemon = (struct daemon){.source = *source};
    vitals_init(&daemon->vitals);
    daemon->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    daemon->spare_fd = -1;
    daemon_take_spare(daemon);
    if (daemon->wake_fd < 0)
        return -errno;
    r = child_setup();
    if (r)
        return r;
    daemon->vitals.access_log = line_writer_new(access_log_failed);
    return daemon->vitals.access_log ? activation_init() : -ENOMEM;
}

void daemon_take_spare(struct daemon *daemon)
{
    if (daemon->spare_fd < 0)
        daemon->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void daemon_give_spare(struct daemon *daemon)
{
    if (daemon->spare_fd >= 0)
        close(daemon->spare_fd);
    daemon->spare_fd = -1;
}

int daemon_start_loops(struct daemon *daemon, const struct conf *conf)
{
    unsigned wanted = conf_server_loops(&conf->server);
    int r = accept_turn_init(&daemon->turn, wanted);

    daemon->loops = calloc(wanted, sizeof(struct loop *));
    if (!daemon->loops)
        return -ENOMEM;
    while (!r && daemon->n_loops < wanted) {
        struct loop *loop =
            loop_new(daemon->n_loops, daemon->loops, &daemon->turn, daemon_wake, daemon);

        if (!loop)
            return -errno;
        daemon->loops[daemon->n_loops++] = loop;
        r = loop_start(loop);
    }
    return r;
}

void daemon_call_loops(struct daemon *daemon, void (*call)(struct loop *loop, void *arg), void *arg)
{
    for (unsigned i = 0; i < daemon->n_loops; i++)
        if (daemon->loops[i]->started)
            loop_call(daemon->loops[i], call, arg);
}

/* True: its last thread has ended. */
static bool reap_retired(struct retired_pool *retired)
{
    unsigned left = pool_reap(retired->pool);

    meter_add_past(retired->meter, retired->pool, &retired->counted);
    if (!left)
        pool_unref(retired->pool);
    return !left;
}

void daemon_reap(struct daemon *daemon)
{
    size_t kept = 0;

    for (size_t i = 0; daemon->snapshot && i < daemon->snapshot->conf->n_pools; i++)
        pool_reap(daemon->snapshot->pools[i]);
    for (size_t i = 0; i < daemon->n_retired; i++)
        if (!reap_retired(&daemon->retired[i]))
            daemon->retired[kept++] = daemon->retired[i];
    daemon->n_retired = kept;
}

static void stop_pool(struct pool *pool)
{
    pool_stop(pool);
    pool_join(pool);
}

void daemon_stop(struct daemon *daemon)
{
    struct snapshot *snapshot = daemon->snapshot;

    for (unsigned i = 0; i < daemon->n_loops; i++)
        loop_stop(daemon->loops[i]);
    for (size_t i = 0; snapshot && i < snapshot->conf->n_pools; i++)
        stop_pool(snapshot->pools[i]);
    for (size_t i = 0; i < daemon->n_retired; i++) {
        stop_pool(daemon->retired[i].pool);
        pool_unref(daemon->retired[i].pool);
    }
    for (unsigned i = 0; i < daemon->n_loops; i++)
        loop_free(daemon->loops[i]);
    for (size_t i = 0; snapshot && i < snapshot->conf->n_listeners; i++)
        listener_unref(daemon->listeners[i]);
    snapshot_unref(snapshot);
    free(daemon->listeners);
    free(daemon->retired);
    free(daemon->loops);
    accept_turn_destroy(&daemon->turn);
    activation_close();
    daemon_give_spare(daemon);
    if (daemon->wake_fd >= 0)
        close(daemon->wake_fd);
    if (!line_writer_free(daemon->vitals.access_log))
        log_warning("access log: its place takes no more lines; the last ones are lost");
    vitals_destroy(&daemon->vitals);
}
