/* The option rows of everything but the actions, which keep theirs beside their code. */
#include "clock.h"
#include "conf.h"
#include "http_method.h"
#include "params.h"

#define MIB (INT64_C(1) << 20)

static const char *const word_auto[] = {"auto", NULL};
static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const half_close_kinds[] = {"abort", "serve", NULL};
static const char *const disciplines[] = {"fifo", "fair", "codel-lifo", NULL};
static const char *const access_log_formats[] = {"combined", "json", NULL};
static const char *const spawn_kinds[] = {"eager", "on-demand", NULL};

const struct option_row conf_server_options[] = {
    {"loops", OPTION_INT, offsetof(struct conf_server, loops), "1", 1, 64, word_auto,
     OPTION_RESTART, "event loops",
     "Event loops, each on a thread of its own; \"auto\" is one per CPU of the affinity mask."},
    {"max_connections", OPTION_INT, offsetof(struct conf_server, max_connections), "10000", 1,
     1000000, NULL, 0, "connections",
     "Connections at one time; accepting pauses while there are as many."},
    {"max_header_size", OPTION_SIZE, offsetof(struct conf_server, max_header_size), "16k", 256, MIB,
     NULL, 0, "bytes", "The longest request line and headers together: 431, or 414."},
    {"max_body_size", OPTION_SIZE, offsetof(struct conf_server, max_body_size), "1m", 0, 1024 * MIB,
     NULL, 0, "bytes", "The longest request body: 413."},
    {"header_timeout", OPTION_DURATION, offsetof(struct conf_server, header_timeout), "10s",
     NS_PER_MS, 3600 * NS_PER_SEC, NULL, 0, "seconds",
     "How long a whole request head may take, however it comes: 408."},
    {"body_timeout", OPTION_DURATION, offsetof(struct conf_server, body_timeout), "30s", NS_PER_MS,
     3600 * NS_PER_SEC, NULL, 0, "seconds", "The longest pause within a request body: 408."},
    {"write_timeout", OPTION_DURATION, offsetof(struct conf_server, write_timeout), "30s",
     NS_PER_MS, 3600 * NS_PER_SEC, NULL, 0, "seconds",
     "A client that takes nothing, or too little, for this long is cut off."},
    {"keepalive_timeout", OPTION_DURATION, offsetof(struct conf_server, keepalive_timeout), "75s",
     0, 3600 * NS_PER_SEC, NULL, 0, "seconds",
     "How long a connection is kept for another request; with 0 it is not kept."},
    {"half_close", OPTION_ENUM, offsetof(struct conf_server, half_close), "abort", 0, 0,
     half_close_kinds, 0, NULL,
     "What a client's FIN means while its task waits or runs: that it has left, or nothing."},
    {"drain_timeout", OPTION_DURATION, offsetof(struct conf_server, drain_timeout), "30s", 0,
     3600 * NS_PER_SEC, NULL, 0, "seconds",
     "How long a stop waits for requests that run or wait before it answers them with 503."},
    {"server_timing", OPTION_BOOL, offsetof(struct conf_server, server_timing), "false", 0, 0, NULL,
     0, NULL, "Whether answers tell by Server-Timing how long they waited and ran."},
    {"server_tokens", OPTION_BOOL, offsetof(struct conf_server, server_tokens), "false", 0, 0, NULL,
     0, NULL, "Whether answers name the server and its version."},
    {"starvation_notice", OPTION_DURATION, offsetof(struct conf_server, starvation_notice), "5s", 0,
     3600 * NS_PER_SEC, NULL, 0, "seconds",
     "After how long it is told that a pool has no thread free and a task that waits; 0: never."},
    {"access_log", OPTION_STRING, offsetof(struct conf_server, access_log), "off", 1, 0, NULL, 0,
     NULL, "Where a line for each request goes: \"off\", \"stderr\", \"journal\" or a file."},
    {"access_log_format", OPTION_ENUM, offsetof(struct conf_server, access_log_format), "combined",
     0, 0, access_log_formats, 0, NULL, "The form of these lines."},
    {"log_level", OPTION_ENUM, offsetof(struct conf_server, log_level), "info", 0, 0, log_levels, 0,
     NULL, "The least important messages that are logged."},
    {0},
};

const struct option_row conf_listener_options[] = {
    {"address", OPTION_STRING, offsetof(struct conf_listener, address), NULL, 1, 255, NULL,
     OPTION_REQUIRED, NULL,
     "\"HOST:PORT\", \"[IPV6]:PORT\", \"PORT\", \"unix:PATH\", \"systemd:NAME\" or \"systemd\"."},
    {"mode", OPTION_MODE, offsetof(struct conf_listener, mode), "0660", 0, 0777, NULL, 0, NULL,
     "The file mode of a unix socket."},
    {"queue_budget_header", OPTION_STRING, offsetof(struct conf_listener, queue_budget_header),
     NULL, 1, 64, NULL, 0, NULL,
     "The request header by which trusted clients say how long their request may wait for a thread."},
    {0},
};

const struct option_row conf_pool_options[] = {
    {"threads", OPTION_INT, offsetof(struct conf_pool, threads), "40", 1, 4096, word_auto, 0,
     "threads", "Threads of the pool; \"auto\" is min(32, CPUs + 4) by the affinity mask."},
    {"queue_depth", OPTION_INT, offsetof(struct conf_pool, queue_depth), "400", 0, 1000000, NULL, 0,
     "tasks", "Tasks that may wait for a thread; with 0 a task runs at once or is refused."},
    {"queue_timeout", OPTION_DURATION, offsetof(struct conf_pool, queue_timeout), "0", 0,
     3600 * NS_PER_SEC, NULL, 0, "seconds", "The longest wait in the queue: 503; with 0 none."},
    {"discipline", OPTION_ENUM, offsetof(struct conf_pool, discipline), "fifo", 0, 0, disciplines,
     0, NULL,
     "Who runs next: the oldest task, routes turn by turn, or the newest while overloaded."},
    {"codel_target", OPTION_DURATION, offsetof(struct conf_pool, codel_target), "5ms", NS_PER_MS,
     60 * NS_PER_SEC, NULL, 0, "seconds",
     "codel-lifo: the longest wait while the pool is overloaded."},
    {"codel_window", OPTION_DURATION, offsetof(struct conf_pool, codel_window), "100ms", NS_PER_MS,
     60 * NS_PER_SEC, NULL, 0, "seconds",
     "codel-lifo: a queue that has not been empty for so long is an overload."},
    {"spawn", OPTION_ENUM, offsetof(struct conf_pool, spawn), "eager", 0, 0, spawn_kinds, 0, NULL,
     "When threads are made: all at start, or one whenever none is idle."},
    {"idle_timeout", OPTION_DURATION, offsetof(struct conf_pool, idle_timeout), "0", 0,
     24 * 3600 * NS_PER_SEC, NULL, 0, "seconds",
     "On demand only: an idle thread ends after this long; with 0 never."},
    {"nice", OPTION_INT, offsetof(struct conf_pool, nice), "0", 0, 19, NULL, 0, NULL,
     "How far the threads step back behind the event loops; for new threads."},
    {"stack_size", OPTION_SIZE, offsetof(struct conf_pool, stack_size), "256k", MIB / 16, 64 * MIB,
     NULL, 0, "bytes", "The stack of a thread; a reload changes it for new threads."},
    {0},
};

const struct option_row conf_route_options[] = {
    {"path", OPTION_STRING, offsetof(struct conf_route, path), NULL, 1, 1024, NULL, OPTION_REQUIRED,
     NULL, "\"/exact\", \"/prefix/*\" or with named segments, \"/jobs/{id}\"."},
    {"methods", OPTION_STRINGS, offsetof(struct conf_route, methods), NULL, 0, 0, http_method_names,
     0, NULL, "The methods that the route takes."},
    {"listener", OPTION_STRINGS, offsetof(struct conf_route, listener), NULL, 0, 0, NULL, 0, NULL,
     "The listeners that have the route."},
    {"action", OPTION_STRING, offsetof(struct conf_route, action_name), NULL, 1, 64, NULL,
     OPTION_REQUIRED, NULL, "What the route does."},
    {"pool", OPTION_STRING, offsetof(struct conf_route, pool), "default", 1, 64, NULL,
     OPTION_BLOCKING, NULL,
     "The pool whose threads run a blocking action; \"dedicated\": a thread for each request."},
    {"concurrency", OPTION_INT, offsetof(struct conf_route, concurrency), "0", 0, 4096, NULL,
     OPTION_BLOCKING, "requests", "At most so many of the route run at one time; 0: no cap."},
    {"max_queue", OPTION_INT, offsetof(struct conf_route, max_queue), NULL, 0, 1000000, NULL,
     OPTION_BLOCKING | OPTION_INHERIT, "requests",
     "At most so many of the route wait for its turn; default: the pool's queue_depth."},
    {"timeout", OPTION_DURATION, offsetof(struct conf_route, timeout), "0", 0,
     24 * 3600 * NS_PER_SEC, NULL, OPTION_BLOCKING, "seconds",
     "The longest run of the action: 504; with 0 none."},
    {"queue_timeout", OPTION_DURATION, offsetof(struct conf_route, queue_timeout), NULL, 0,
     3600 * NS_PER_SEC, NULL, OPTION_BLOCKING | OPTION_INHERIT, "seconds",
     "The route's own queue_timeout; default: the pool's."},
    {"max_body_size", OPTION_SIZE, offsetof(struct conf_route, max_body_size), NULL, 0, 1024 * MIB,
     NULL, OPTION_INHERIT, "bytes", "The route's own max_body_size; default: the server's."},
    {"headers", OPTION_PAIRS, offsetof(struct conf_route, headers), NULL, 0, 0, NULL,
     OPTION_TEMPLATE | OPTION_SECRETS, NULL, "Headers added to the route's answers."},
    {"params", OPTION_GROUPS, offsetof(struct conf_route, params), NULL, 0, 0, NULL, 0, NULL,
     "The request's parameters: where each stands, its type, bounds and default.", &param_group},
    {0},
};
