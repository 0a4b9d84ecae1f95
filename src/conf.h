/* conf.h - one whole configuration, checked and then never changed.
 *
 * conf_load builds it on the calling thread; after that any thread may read it.  It lives until
 * conf_free, which the snapshot that carries it calls when the last request that began with it has
 * ended. */
#ifndef HANDOFFD_CONF_H
#define HANDOFFD_CONF_H

#include "option.h"
#include "router.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- faults ---------------------------------------------------------------------------------- */

struct conf_fault {
    char *where; /* "FILE:LINE", "FILE" or "-o KEY=VALUE" */
    char *text;
};

/* All that is wrong with a configuration, in the order in which it was found. */
struct conf_faults {
    struct conf_fault *items;
    size_t count;
    bool out_of_memory; /* while it was read: nothing need be wrong with it */
};

void conf_faults_add(struct conf_faults *faults, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "2 errors, the first: FILE:LINE: ...": one line for where there is no place for all. */
void conf_faults_sum_up(const struct conf_faults *faults, struct strbuf *out);
void conf_faults_clear(struct conf_faults *faults);

/* ---- what an action tells the configuration -------------------------------------------------- */

struct conf;
struct conf_route;

/* What is copied out of a request before its action runs. */
enum action_need {
    ACTION_NEEDS_HEADERS = 1 << 0, /* and the client's address */
    ACTION_NEEDS_BODY = 1 << 1,
    /* Of blocking actions: `run` may begin before the body is whole, and takes it by body_read.
     * Together with the one above it is whole all the same. */
    ACTION_STREAMS_BODY = 1 << 2,
    ACTION_NEEDS_LOCAL = 1 << 3, /* the address that it came in by */
};

/* Handed to an action's `create`: the configuration so far (listeners and pools are complete) and a
 * place for faults. */
struct conf_check {
    const struct conf *conf;
    const struct conf_route *route;
    unsigned *needs; /* the route's, enum action_need: params and templates add theirs */
    struct conf_faults *faults;
    /* Where the route's option was written; the route's own place when it was not. */
    const char *(*locate)(const struct conf_check *check, const char *option);
    const void *source;
};

/* Adds "routes[N].OPTION: ..." at the place where the option stands. */
void conf_check_fault(const struct conf_check *check, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The fault of an option that names a pool which is not configured. */
void conf_check_pool(const struct conf_check *check, const char *option, const char *name);

struct conf_action {
    const char *name;
    bool blocking;              /* runs in a pool; otherwise on the event loop */
    const char *const *methods; /* what it takes when a route does not say; ends with NULL */
    const struct option_row
        *options; /* its own rows; ends with a row without a name; may be NULL */
    size_t settings_size;
    const char *doc;
    /* Validates what the rows cannot and prepares what `run` needs.  Faults go into check->faults.
     * 0, or -errno when memory has run out.  May be NULL. */
    int (*create)(void *settings, const struct conf_check *check);
    /* Frees what `create` made, half-made things too; strings of the rows are not its business. */
    void (*destroy)(void *settings);
};

/* ---- the configuration ----------------------------------------------------------------------- */

enum conf_access_log_format { CONF_ACCESS_LOG_COMBINED, CONF_ACCESS_LOG_JSON };

enum conf_half_close { CONF_HALF_CLOSE_ABORT, CONF_HALF_CLOSE_SERVE };

struct conf_server {
    int64_t loops; /* OPTION_WORD: see conf_server_loops */
    int64_t max_connections;
    int64_t max_header_size; /* bytes */
    int64_t max_body_size;   /* bytes */
    int64_t header_timeout;  /* ns, as all that follow */
    int64_t body_timeout;
    int64_t write_timeout;
    int64_t keepalive_timeout; /* 0: connections are not kept */
    int64_t half_close;        /* enum conf_half_close */
    int64_t drain_timeout;     /* ns */
    bool server_timing;
    bool server_tokens;
    int64_t starvation_notice; /* ns; 0: none */
    char *access_log;
    int64_t access_log_format; /* enum conf_access_log_format */
    int64_t log_level;         /* index into the row's choices, the least of which is "error" */
};

struct conf_listener {
    char *name;
    char *address;
    int64_t mode;
    char *queue_budget_header; /* NULL: none */
};

enum conf_spawn { CONF_SPAWN_EAGER, CONF_SPAWN_ON_DEMAND };
enum conf_discipline { CONF_FIFO, CONF_FAIR, CONF_CODEL_LIFO };

struct conf_pool {
    char *name;
    int64_t threads; /* OPTION_WORD: see conf_pool_threads */
    int64_t queue_depth;
    int64_t queue_timeout; /* ns; 0: none */
    int64_t discipline;    /* enum conf_discipline */
    int64_t codel_target;  /* ns */
    int64_t codel_window;  /* ns */
    int64_t spawn;         /* enum conf_spawn */
    int64_t idle_timeout;  /* ns; 0: none */
    int64_t nice;
    int64_t stack_size; /* bytes */
    bool dedicated;     /* made for one route; not in the file */
};

/* What stands for a pool of the route's own, and begins the names of those. */
#define CONF_DEDICATED "dedicated"

enum { CONF_NO_POOL = -1 };

struct conf_route {
    size_t index; /* its place in the file, from 0 */
    char *path;
    struct string_list methods;
    struct string_list listener;
    char *action_name;
    char *pool;
    int64_t concurrency;   /* 0: no cap */
    int64_t max_queue;     /* when not written the queue_depth of its pool */
    int64_t timeout;       /* ns; 0: none */
    int64_t queue_timeout; /* ns; when not written its pool's */
    int64_t max_body_size; /* bytes; when not written the server's */
    struct pair_list headers;
    struct group_list params; /* struct param, params.h */
    /* Derived: */
    const struct conf_action *action;
    void *settings; /* the action's, laid out by its rows */
    unsigned method_mask;
    uint64_t listener_mask; /* bit i: conf->listeners[i] */
    int pool_index;         /* into conf->pools, CONF_NO_POOL for loop actions */
    const char
        *pool_name;     /* of that pool, as it is shown: not what `pool` says if it is dedicated */
    unsigned needs;     /* enum action_need of its params and templates */
    char *key;          /* tells it from all other routes, over reloads too */
    char *header_block; /* `headers` as they go out, CRLF after each; "" when none */
    struct template **header_templates; /* [i] for headers.items[i]; NULL: it is in the block */
    bool has_header_templates;
};

/* One bit less than a mask has: the last stands for a listener that is gone. */
enum { CONF_MAX_LISTENERS = 63 };

struct conf {
    char *path;
    struct conf_server server;
    struct conf_listener *listeners;
    size_t n_listeners;
    struct conf_pool *pools;
    size_t n_pools;
    struct conf_route *routes;
    size_t n_routes;
    struct router *router;
    bool access_log; /* whether there is one */
};

extern const struct option_row conf_server_options[];
extern const struct option_row conf_listener_options[];
extern const struct option_row conf_pool_options[];
extern const struct option_row conf_route_options[];

/* What a configuration is read with. */
struct conf_source {
    const char *path;
    const char *const *overrides; /* each "KEY=VALUE", wins over the file */
    size_t n_overrides;
    const struct conf_action *(*find_action)(const char *name); /* NULL: no such action */
    const struct conf_action *(*action_at)(size_t i);           /* NULL behind the last */
};

/* Reads, checks and completes a configuration.  NULL when there is any fault; `faults` then holds
 * every one of them.  The caller owns the result (conf_free) and clears `faults`. */
struct conf *conf_load(const struct conf_source *source, struct conf_faults *faults);
void conf_free(struct conf *conf);

/* Threads of a pool with "auto" worked out: min(32, CPUs of the affinity mask + 4). */
unsigned conf_pool_threads(const struct conf_pool *pool);
/* Event loops with "auto" worked out: one per CPU of the affinity mask. */
unsigned conf_server_loops(const struct conf_server *server);

/* The version of libconfig, for --version. */
const char *conf_parser_version(void);

/* Whether a value of access_log is a path and not one of its words. */
bool conf_is_log_file(const char *access_log);

/* Index by name; -1: none. */
int conf_find_pool(const struct conf *conf, const char *name);
int conf_find_listener(const struct conf *conf, const char *name);

/* A file that the configuration names, relative to the configuration file's directory.  The caller
 * frees it; NULL: out of memory. */
char *conf_resolve_path(const struct conf *conf, const char *path);

/* The whole configuration, defaults included, in the form that conf_load reads. */
void conf_dump(const struct conf *conf, struct strbuf *out);

/* Names the options marked OPTION_RESTART that differ, as "server.loops, ..."; empty: none. */
void conf_restart_diff(const struct conf *running, const struct conf *next, struct strbuf *out);

#endif
