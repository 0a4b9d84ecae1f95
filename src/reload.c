/* DESIGN
 *
 * A configuration comes into force in two steps.  Building may fail and then undoes itself: sockets
 * are bound (beside those of leaving listeners, if need be), loops made ready to accept from them, new
 * pools get their threads and growing pools their additional ones.  Swapping cannot fail: every loop
 * takes the new snapshot (and hands over what it had gathered for the old one), pools shrink, listeners
 * and pools that are gone retire. */
#include "reload.h"

#include "access_log.h"
#include "activation.h"
#include "line_writer.h"
#include "listen_address.h"
#include "log.h"
#include "probes.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct build {
    struct daemon *daemon;
    struct snapshot *next;
    struct line_target *access_log; /* NULL: lines go where they went */
    struct listener **listeners;
    size_t n_listeners; /* opened or taken over so far */
    size_t n_pools;     /* made or taken over so far */
    struct reload_failure *failure;
};

static struct pool *current_pool(const struct daemon *daemon, const char *name)
{
    int i = daemon->snapshot ? conf_find_pool(daemon->snapshot->conf, name) : -1;

    return i < 0 ? NULL : daemon->snapshot->pools[i];
}

static struct listener *current_listener(const struct daemon *daemon, const char *name,
                                         const char *address)
{
    const struct snapshot *now = daemon->snapshot;
    struct listener *other = NULL;

    /* By name first: several listeners may have asked for any port. */
    for (size_t i = 0; now && i < now->conf->n_listeners; i++)
        if (!strcmp(daemon->listeners[i]->address, address)) {
            if (!strcmp(now->conf->listeners[i].name, name))
                return daemon->listeners[i];
            if (!listen_address_is_any_port(address))
                other = daemon->listeners[i];
        }
    return other;
}

/* ---- building -------------------------------------------------------------------------------- */

static bool is_kept(const struct build *b, const struct listener *listener)
{
    const struct conf *conf = b->next->conf;
    size_t i = 0;

    while (i < conf->n_listeners && current_listener(b->daemon, conf->listeners[i].name,
                                                     conf->listeners[i].address) != listener)
        i++;
    return i < conf->n_listeners;
}

static void share_leaving_ports(struct build *b, bool shared)
{
    const struct snapshot *now = b->daemon->snapshot;

    for (size_t i = 0; now && i < now->conf->n_listeners; i++)
        if (!is_kept(b, b->daemon->listeners[i]))
            listener_share_port(b->daemon->listeners[i], shared);
}

static struct listener *open_listener(struct build *b, const struct conf_listener *wanted)
{
    struct strbuf *why = &b->failure->why;
    struct listener *listener = listener_open(wanted, why);

    if (listener || errno != EADDRINUSE || !b->daemon->snapshot)
        return listener;
    /* It may be in use by a listener of ours that closes with this reload. */
    strbuf_free(why);
    share_leaving_ports(b, true);
    listener = listener_open_beside(wanted, why);
    share_leaving_ports(b, false);
    return listener;
}

static int open_listeners(struct build *b)
{
    const struct conf *conf = b->next->conf;

    b->listeners = calloc(conf->n_listeners + 1, sizeof *b->listeners);
    if (!b->listeners)
        return -ENOMEM;
    for (; b->n_listeners < conf->n_listeners; b->n_listeners++) {
        const struct conf_listener *wanted = &conf->listeners[b->n_listeners];
        struct listener *listener = current_listener(b->daemon, wanted->name, wanted->address);

        listener = listener ? listener_ref(listener) : open_listener(b, wanted);
        if (!listener) {
            b->failure->of_listener = true;
            return -errno;
        }
        b->listeners[b->n_listeners] = listener;
        b->next->bound[b->n_listeners] = strdup(listener->bound);
        if (!b->next->bound[b->n_listeners]) {
            b->n_listeners++;
            return -ENOMEM;
        }
    }
    return 0;
}

struct prepare {
    struct build *build;
    int result;
};

static void prepare_call(struct loop *loop, void *arg)
{
    struct prepare *p = arg;

    if (!p->result)
        p->result = server_prepare(loop, p->build->listeners, p->build->n_listeners);
}

static void abandon_call(struct loop *loop, void *arg)
{
    (void)arg;
    server_abandon(loop);
}

static void settings_of(const struct conf_pool *conf, struct pool_settings *out)
{
    static const enum pool_discipline disciplines[] = {
        [CONF_FIFO] = POOL_FIFO, [CONF_FAIR] = POOL_FAIR, [CONF_CODEL_LIFO] = POOL_CODEL_LIFO};

    *out = (struct pool_settings){.threads = conf_pool_threads(conf),
                                  .queue_depth = (unsigned)conf->queue_depth,
                                  .on_demand = conf->spawn == CONF_SPAWN_ON_DEMAND,
                                  .idle_ns = conf->dedicated ? POOL_NO_IDLING : conf->idle_timeout,
                                  .nice = (int)conf->nice,
                                  .stack_size = (size_t)conf->stack_size,
                                  .queue = {.discipline = disciplines[conf->discipline],
                                            .codel_target_ns = conf->codel_target,
                                            .codel_window_ns = conf->codel_window}};
}

/* Gives a pool the threads of both its settings, old and new; everything else stays as it is. */
static int grow_pool(struct pool *pool, const struct pool_settings *wanted)
{
    struct pool_settings now, both;
    int r;

    pool_get_settings(pool, &now);
    both = now;
    both.stack_size = wanted->stack_size;
    both.nice = wanted->nice;
    both.on_demand = wanted->on_demand;
    if (wanted->threads > now.threads)
        both.threads = wanted->threads;
    r = pool_configure(pool, &both);
    if (r && pool_configure(pool, &now))
        log_debug("pool %s: fewer threads than configured", pool_name(pool));
    return r;
}

static int build_pool(struct build *b, const struct conf_pool *conf)
{
    struct pool *pool = current_pool(b->daemon, conf->name);
    struct pool_settings wanted;
    int r;

    settings_of(conf, &wanted);
    if (pool) {
        b->next->pools[b->n_pools++] = pool_ref(pool);
        r = grow_pool(pool, &wanted);
    } else {
        pool = pool_new(conf->name, daemon_wake, b->daemon);
        if (!pool)
            return -ENOMEM;
        b->next->pools[b->n_pools++] = pool;
        r = pool_configure(pool, &wanted);
    }
    if (r)
        strbuf_addf(&b->failure->why, "pools.%s: cannot make %u threads: %s", conf->name,
                    wanted.threads, strerror(-r));
    return r;
}

static int build_lanes(struct snapshot *next)
{
    const struct conf *conf = next->conf;

    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];

        if (route->pool_index == CONF_NO_POOL)
            continue;
        next->lanes[i] = pool_lane(next->pools[route->pool_index], route->key);
        if (!next->lanes[i])
            return -ENOMEM;
    }
    return 0;
}

static int open_access_log(struct build *b)
{
    const struct conf *conf = b->next->conf;
    int r = access_log_open(conf, &b->access_log, &b->failure->why);

    if (r || !conf->access_log)
        return r;
    r = line_writer_start(b->daemon->vitals.access_log);
    if (r)
        strbuf_addf(&b->failure->why, "cannot make the thread of the access log: %s", strerror(-r));
    return r;
}

static int build(struct build *b)
{
    const struct conf *conf = b->next->conf;
    struct prepare prepare = {.build = b};
    int r = open_access_log(b);

    if (!r)
        r = open_listeners(b);
    if (r)
        return r;
    daemon_call_loops(b->daemon, prepare_call, &prepare);
    r = prepare.result;
    if (r)
        strbuf_addf(&b->failure->why, "cannot accept from the listeners: %s", strerror(-r));
    while (!r && b->n_pools < conf->n_pools)
        r = build_pool(b, &conf->pools[b->n_pools]);
    return r ? r : build_lanes(b->next);
}

static void undo_build(struct build *b)
{
    const struct snapshot *now = b->daemon->snapshot;

    daemon_call_loops(b->daemon, abandon_call, NULL);
    for (size_t i = 0; i < b->n_pools; i++) {
        struct pool *pool = b->next->pools[i];
        struct pool *before = current_pool(b->daemon, pool_name(pool));
        struct pool_settings settings;

        if (!before) {
            pool_stop(pool);
            pool_join(pool);
            continue;
        }
        settings_of(&now->conf->pools[conf_find_pool(now->conf, pool_name(pool))], &settings);
        if (pool_configure(before, &settings))
            log_warning("pool %s: fewer threads than configured", pool_name(before));
    }
    for (size_t i = 0; i < b->n_listeners; i++)
        listener_unref(b->listeners[i]);
    free(b->listeners);
    line_target_free(b->access_log);
    snapshot_unref(b->next);
}

/* ---- swapping -------------------------------------------------------------------------------- */

/* Nothing to do: a loop that takes a call has ended the turn before. */
static void turn_call(struct loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
}

static void commit_call(struct loop *loop, void *arg)
{
    const struct build *b = arg;

    server_commit(loop, b->next, b->listeners, b->n_listeners);
}

/* No loop submits to the pool any more; it works off its queue and ends. */
static void retire_pool(struct daemon *daemon, struct pool *pool, struct meter *meter)
{
    struct retired_pool *list =
        reallocarray(daemon->retired, daemon->n_retired + 1, sizeof *daemon->retired);
    struct retired_pool retired = {.pool = pool, .meter = meter};

    pool_stop(pool);
    if (!list)
        pool_join(pool); /* without memory to remember it by, it is waited for */
    meter_add_past(meter, pool, &retired.counted);
    if (list) {
        daemon->retired = list;
        pool_ref(pool);
        list[daemon->n_retired++] = retired;
    }
    log_about(&(const struct log_subject){.pool = pool_name(pool)}, LOG_LEVEL_INFO,
              "pool %s: removed; it finishes its tasks", pool_name(pool));
}

static void settle_pools(struct build *b, const struct snapshot *before)
{
    const struct conf *conf = b->next->conf;

    for (size_t i = 0; i < conf->n_pools; i++) {
        struct pool_settings settings;
        int r;

        settings_of(&conf->pools[i], &settings);
        /* The threads are there already, so nothing is left to fail but their number falling. */
        r = pool_configure(b->next->pools[i], &settings);
        if (r)
            log_warning("pool %s: fewer threads than configured: %s", conf->pools[i].name,
                        strerror(-r));
    }
    for (size_t i = 0; before && i < before->conf->n_pools; i++)
        if (conf_find_pool(conf, before->conf->pools[i].name) < 0)
            retire_pool(b->daemon, before->pools[i], before->pool_meters[i]);
}

static void settle_lanes(struct snapshot *next)
{
    const struct conf *conf = next->conf;

    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct lane_settings settings;
        int r;

        if (!next->lanes[i])
            continue;
        settings = (struct lane_settings){.concurrency = (unsigned)route->concurrency,
                                          .max_queue = (unsigned)route->max_queue};
        r = lane_configure(next->lanes[i], &settings);
        if (r)
            log_warning("pool %s: cannot make a thread: %s", route->pool_name, strerror(-r));
    }
}

/* Clients connect to such a socket all the same, and nobody answers. */
static void warn_of_unused_sockets(const struct build *b)
{
    const char *name;
    int fd;

    for (size_t i = 0; (name = activation_name_at(i, &fd)); i++) {
        size_t j = 0;

        while (j < b->next->conf->n_listeners && b->listeners[j]->inherited != fd)
            j++;
        if (j == b->next->conf->n_listeners)
            log_warning("no listener uses the socket \"%s\" of the service manager", name);
    }
}

static void settle_listeners(struct build *b, const struct snapshot *before)
{
    const struct conf *conf = b->next->conf;

    for (size_t i = 0; i < conf->n_listeners; i++) {
        const char *name = conf->listeners[i].name;
        const struct log_subject subject = {.listener = name};
        int r = listener_set_mode(b->listeners[i], conf->listeners[i].mode);

        if (r)
            log_about(&subject, LOG_LEVEL_WARNING, "listener %s: cannot change its mode: %s", name,
                      strerror(-r));
        if (b->listeners[i]->refs == 1)
            log_about(&subject, LOG_LEVEL_INFO, "listening on %s (listener %s)",
                      b->listeners[i]->bound, name);
    }
    for (size_t i = 0; before && i < before->conf->n_listeners; i++) {
        const char *name = before->conf->listeners[i].name;

        if (b->daemon->listeners[i]->refs == 1)
            log_about(&(const struct log_subject){.listener = name}, LOG_LEVEL_INFO,
                      "no longer listening on %s (listener %s)", b->daemon->listeners[i]->bound,
                      name);
        listener_unref(b->daemon->listeners[i]);
    }
    free(b->daemon->listeners);
    b->daemon->listeners = b->listeners;
    warn_of_unused_sockets(b);
}

/* What connections need beside: the daemon's own files, programs' pipes, reloads. */
enum { OTHER_DESCRIPTORS = 64 };

static void warn_of_few_descriptors(const struct conf_server *conf, const struct snapshot *before)
{
    struct rlimit limit;

    if (before && before->conf->server.max_connections == conf->max_connections)
        return;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (uint64_t)limit.rlim_cur < (uint64_t)conf->max_connections + OTHER_DESCRIPTORS)
        log_warning("max_connections is %lld, but no more than %llu descriptors may be open "
                    "(ulimit -n, LimitNOFILE= of the service)",
                    (long long)conf->max_connections, (unsigned long long)limit.rlim_cur);
}

/* Before the loops begin to leave them: what came in by then is accepted, and later ones find the
 * listeners that are open already. */
static void turn_away_from_leaving(const struct build *b, const struct snapshot *before)
{
    for (size_t i = 0; before && i < before->conf->n_listeners; i++)
        if (b->daemon->listeners[i]->refs == 1)
            listener_turn_away(b->daemon->listeners[i]);
}

static void swap(struct build *b)
{
    struct daemon *daemon = b->daemon;
    struct snapshot *before = daemon->snapshot;
    const struct conf *conf = b->next->conf;

    b->next->generation = before ? before->generation + 1 : 1;
    log_set_level(LOG_LEVEL_ERROR + (int)conf->server.log_level);
    line_writer_set_target(daemon->vitals.access_log, b->access_log);
    settle_lanes(b->next);
    turn_away_from_leaving(b, before);
    daemon_call_loops(daemon, commit_call, b);
    daemon_call_loops(daemon, turn_call, NULL);
    warn_of_few_descriptors(&conf->server, before);
    settle_pools(b, before);
    settle_listeners(b, before);
    daemon->snapshot = b->next;
    snapshot_unref(before);
    daemon_reap(daemon);
}

int reload_apply(struct daemon *daemon, struct conf *conf, struct reload_failure *failure)
{
    struct build b = {.daemon = daemon, .failure = failure};
    int r = -ENOMEM;

    b.next = snapshot_new(conf, &daemon->vitals);
    if (!b.next)
        conf_free(conf);
    else
        r = build(&b);
    if (!r) {
        swap(&b);
        return 0;
    }
    if (!failure->why.len)
        strbuf_adds(&failure->why, strerror(-r));
    if (b.next)
        undo_build(&b);
    return r;
}

/* ---- SIGHUP ---------------------------------------------------------------------------------- */

/* Options marked RESTART keep what they have. */
static void keep_restart_options(const struct conf *running, struct conf *next)
{
    next->server.loops = running->server.loops;
}

/* The file of the access log may have been moved, and lines shall not follow it. */
static void reopen_access_log(struct daemon *daemon)
{
    struct strbuf why = {0};
    struct line_target *target = NULL;

    if (access_log_open(daemon->snapshot->conf, &target, &why))
        log_error("%s; lines go where they went", strbuf_cstr(&why));
    else
        line_writer_set_target(daemon->vitals.access_log, target);
    strbuf_free(&why);
}

static void probe_reload(const struct daemon *daemon, bool ok)
{
    PROBE2(reload, daemon->snapshot->generation, ok);
    (void)daemon;
    (void)ok;
}

static void refuse_reload(struct daemon *daemon, const char *reason, struct strbuf *status)
{
    reopen_access_log(daemon);
    log_error("reload refused, the old configuration stays in force: %s", reason);
    strbuf_addf(status, "reload refused: %s", reason);
    vitals_note_reload(&daemon->vitals, false, reason);
    probe_reload(daemon, false);
}

static void refuse_for_faults(struct daemon *daemon, const struct conf_faults *faults,
                              struct strbuf *status)
{
    struct strbuf reason = {0};

    for (size_t i = 0; i < faults->count; i++)
        log_error("%s: %s", faults->items[i].where, faults->items[i].text);
    conf_faults_sum_up(faults, &reason);
    refuse_reload(daemon, strbuf_cstr(&reason), status);
    strbuf_free(&reason);
}

void reload_run(struct daemon *daemon, struct strbuf *status)
{
    struct conf_faults faults = {0};
    struct reload_failure failure = {0};
    struct strbuf restart = {0};
    struct conf *conf;

    daemon_give_spare(daemon);
    conf = conf_load(&daemon->source, &faults);
    daemon_take_spare(daemon);

    if (!conf && faults.count) {
        refuse_for_faults(daemon, &faults, status);
    } else if (!conf) {
        refuse_reload(daemon, strerror(ENOMEM), status);
    } else {
        conf_restart_diff(daemon->snapshot->conf, conf, &restart);
        keep_restart_options(daemon->snapshot->conf, conf);
        if (reload_apply(daemon, conf, &failure)) {
            refuse_reload(daemon, strbuf_cstr(&failure.why), status);
        } else {
            log_notice("configuration reloaded, generation %llu",
                       (unsigned long long)daemon->snapshot->generation);
            vitals_note_reload(&daemon->vitals, true, "reloaded");
            probe_reload(daemon, true);
        }
        if (restart.len) {
            log_warning("a restart is needed to change: %s", strbuf_cstr(&restart));
            strbuf_addf(status, "%sa restart is needed to change %s", status->len ? "; " : "",
                        strbuf_cstr(&restart));
        }
    }
    conf_faults_clear(&faults);
    strbuf_free(&failure.why);
    strbuf_free(&restart);
}
