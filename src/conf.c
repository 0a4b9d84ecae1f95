/* DESIGN
 *
 * conf_load reads the file (conf_file.c), then completes and cross-checks what was read: what is not
 * written but exists all the same (the pool "default", the listener "main"), names that refer to
 * others, headers, the actions' own checks, and the router, whose conflicts are faults too.  Every
 * step goes on after a fault, so that one run reports all of them. */
#include "conf.h"

#include "conf_file.h"
#include "conf_pools.h"
#include "http_method.h"
#include "listen_address.h"
#include "params.h"
#include "template.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy in which nothing that a file holds can look like the end of a message. */
static char *one_line(const char *text)
{
    struct strbuf line = {0};

    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            strbuf_addf(&line, "\\x%02x", (unsigned char)*text);
        else
            strbuf_addc(&line, *text);
    return strbuf_take(&line);
}

void conf_faults_add(struct conf_faults *faults, const char *where, const char *fmt, ...)
{
    struct conf_fault *items =
        reallocarray(faults->items, faults->count + 1, sizeof *faults->items);
    struct strbuf text = {0};
    va_list ap;

    if (!items) {
        faults->out_of_memory = true;
        return;
    }
    faults->items = items;
    va_start(ap, fmt);
    strbuf_addv(&text, fmt, ap);
    va_end(ap);
    items[faults->count].where = one_line(where);
    items[faults->count].text = one_line(strbuf_cstr(&text));
    strbuf_free(&text);
    if (!items[faults->count].where || !items[faults->count].text)
        faults->out_of_memory = true;
    faults->count++;
}

void conf_faults_sum_up(const struct conf_faults *faults, struct strbuf *out)
{
    if (!faults->count)
        strbuf_adds(out, strerror(ENOMEM));
    else
        strbuf_addf(out, "%zu error%s in the configuration, the first: %s: %s", faults->count,
                    faults->count == 1 ? "" : "s", faults->items[0].where, faults->items[0].text);
}

void conf_faults_clear(struct conf_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        free(faults->items[i].where);
        free(faults->items[i].text);
    }
    free(faults->items);
    *faults = (struct conf_faults){0};
}

void conf_check_fault(const struct conf_check *check, const char *option, const char *fmt, ...)
{
    struct strbuf text = {0};
    va_list ap;

    va_start(ap, fmt);
    strbuf_addv(&text, fmt, ap);
    va_end(ap);
    conf_faults_add(check->faults, check->locate(check, option), "routes[%zu].%s: %s",
                    check->route->index, option, strbuf_cstr(&text));
    strbuf_free(&text);
}

int conf_find_pool(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_pools; i++)
        if (!strcmp(conf->pools[i].name, name))
            return (int)i;
    return -1;
}

int conf_find_listener(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_listeners; i++)
        if (!strcmp(conf->listeners[i].name, name))
            return (int)i;
    return -1;
}

static unsigned usable_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

unsigned conf_pool_threads(const struct conf_pool *pool)
{
    unsigned wanted = usable_cpus() + 4;

    if (pool->threads != OPTION_WORD)
        return (unsigned)pool->threads;
    return wanted < 32 ? wanted : 32;
}

unsigned conf_server_loops(const struct conf_server *server)
{
    unsigned cpus = usable_cpus();

    if (server->loops != OPTION_WORD)
        return (unsigned)server->loops;
    return cpus < 64 ? cpus : 64;
}

char *conf_resolve_path(const struct conf *conf, const char *path)
{
    const char *slash = strrchr(conf->path, '/');
    struct strbuf full = {0};

    if (path[0] != '/' && slash)
        strbuf_add(&full, conf->path, (size_t)(slash - conf->path) + 1);
    strbuf_adds(&full, path);
    return strbuf_take(&full);
}

static bool valid_header_name(const char *name)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"; /* tchar, RFC 9110, 5.6.2 */

    return *name && name[strspn(name, token)] == '\0';
}

#define HEADER_NAME_ALLOWED "letters, digits and !#$%&'*+-.^_`|~"

/* ---- completing ------------------------------------------------------------------------------ */

struct loader {
    struct conf *conf;
    struct conf_places *places;
    struct conf_faults *faults;
};

static const char *locate(const struct conf_check *check, const char *option)
{
    return conf_places_route(check->source, check->route->index, option);
}

static struct conf_check check_of(const struct loader *l, struct conf_route *route)
{
    return (struct conf_check){.conf = l->conf,
                               .route = route,
                               .needs = &route->needs,
                               .faults = l->faults,
                               .locate = locate,
                               .source = l->places};
}

static int add_default_listener(struct loader *l)
{
    struct conf *conf = l->conf;

    /* With faults around, the listeners may be missing because they were refused. */
    if (conf->n_listeners || l->faults->count)
        return 0;
    conf->listeners = calloc(1, sizeof *conf->listeners);
    if (!conf->listeners)
        return -ENOMEM;
    conf->n_listeners = 1;
    conf->listeners[0].name = strdup("main");
    conf->listeners[0].address = strdup("127.0.0.1:8080");
    if (!conf->listeners[0].name || !conf->listeners[0].address)
        return -ENOMEM;
    return option_set_defaults(conf_listener_options, &conf->listeners[0]);
}

static void check_mode(struct loader *l, const struct conf_listener *listener)
{
    struct strbuf key = {0};

    strbuf_addf(&key, "listeners.%s.mode", listener->name);
    if (conf_places_has(l->places, strbuf_cstr(&key)))
        conf_faults_add(l->faults,
                        conf_places_section(l->places, "listeners", listener->name, "mode"),
                        "%s: found with the address \"%s\"; allowed: only with \"unix:PATH\"",
                        strbuf_cstr(&key), listener->address);
    strbuf_free(&key);
}

/* "systemd" is the only socket that the service manager passes, so no other listener has one. */
static bool is_same_socket(const char *one, const char *other)
{
    if (!strcmp(one, other))
        return !listen_address_is_any_port(one);
    return (!strcmp(one, "systemd") && !strncmp(other, "systemd:", 8)) ||
           (!strcmp(other, "systemd") && !strncmp(one, "systemd:", 8));
}

static void check_listener(struct loader *l, const struct conf_listener *listener)
{
    const char *where = conf_places_section(l->places, "listeners", listener->name, "address");
    const struct conf_listener *other = l->conf->listeners;
    struct listen_address parsed;
    struct strbuf why = {0};
    int r = listen_address_parse(listener->address, &parsed, &why);

    if (r)
        conf_faults_add(l->faults, where, "listeners.%s.address: %s", listener->name,
                        strbuf_cstr(&why));
    else if (parsed.kind != LISTEN_UNIX)
        check_mode(l, listener);
    for (; other < listener; other++)
        if (other->address && is_same_socket(other->address, listener->address))
            conf_faults_add(l->faults, where,
                            "listeners.%s.address: \"%s\" is the address of the listener \"%s\" "
                            "too; allowed: an address of its own",
                            listener->name, listener->address, other->name);
    if (listener->queue_budget_header && !valid_header_name(listener->queue_budget_header))
        conf_faults_add(
            l->faults,
            conf_places_section(l->places, "listeners", listener->name, "queue_budget_header"),
            "listeners.%s.queue_budget_header: \"%s\" is no header name; allowed: %s",
            listener->name, listener->queue_budget_header, HEADER_NAME_ALLOWED);
    strbuf_free(&why);
}

static void check_listeners(struct loader *l)
{
    const struct conf *conf = l->conf;

    for (size_t i = 0; i < conf->n_listeners; i++)
        if (conf->listeners[i].address)
            check_listener(l, &conf->listeners[i]);
    if (conf->n_listeners > CONF_MAX_LISTENERS)
        conf_faults_add(l->faults, l->conf->path, "listeners: found %zu; allowed: at most %d",
                        conf->n_listeners, CONF_MAX_LISTENERS);
}

static const char *const log_words[] = {"off", "stderr", "journal"};

bool conf_is_log_file(const char *access_log)
{
    for (size_t i = 0; i < sizeof log_words / sizeof *log_words; i++)
        if (!strcmp(access_log, log_words[i]))
            return false;
    return true;
}

/* A misspelt word would be taken for the name of a file, and one would wait for lines in vain. */
static void check_access_log(struct loader *l)
{
    const char *text = l->conf->server.access_log;
    struct str_nearest nearest = {.wanted = text};

    if (!text)
        return;
    l->conf->access_log = strcmp(text, "off") != 0;
    for (size_t i = 0; i < sizeof log_words / sizeof *log_words; i++)
        str_nearest_try(&nearest, log_words[i]);
    if (!conf_is_log_file(text) || strpbrk(text, "/."))
        return;
    conf_faults_add(l->faults, conf_places_section(l->places, "server", "access_log", NULL),
                    "server.access_log: found \"%s\"%s%s%s; allowed: \"off\", \"stderr\", "
                    "\"journal\", or a file with a slash or a dot in its name",
                    text, nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                    nearest.best ? "\"?" : "");
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void unknown_name(const struct conf_check *check, const char *option, const char *name,
                         size_t count, const char *(*name_at)(const struct conf *, size_t))
{
    struct str_nearest nearest = {.wanted = name};
    struct strbuf known = {0};

    for (size_t i = 0; i < count; i++) {
        str_nearest_try(&nearest, name_at(check->conf, i));
        strbuf_addf(&known, "%s\"%s\"", i ? ", " : "", name_at(check->conf, i));
    }
    conf_check_fault(check, option, "found \"%s\", which is not configured%s%s%s; allowed: %s",
                     name, nearest.best ? "; did you mean \"" : "",
                     nearest.best ? nearest.best : "", nearest.best ? "\"?" : "",
                     strbuf_cstr(&known));
    strbuf_free(&known);
}

static const char *pool_name_at(const struct conf *conf, size_t i)
{
    return conf->pools[i].name;
}

static const char *listener_name_at(const struct conf *conf, size_t i)
{
    return conf->listeners[i].name;
}

void conf_check_pool(const struct conf_check *check, const char *option, const char *name)
{
    unknown_name(check, option, name, check->conf->n_pools, pool_name_at);
}

static void resolve_names(struct conf_route *route, const struct conf_check *check)
{
    const struct conf *conf = check->conf;

    if (route->action && route->action->blocking && route->pool &&
        strcmp(route->pool, CONF_DEDICATED)) {
        route->pool_index = conf_find_pool(conf, route->pool);
        if (route->pool_index < 0)
            conf_check_pool(check, "pool", route->pool);
        else
            route->pool_name = conf->pools[route->pool_index].name;
    }
    for (size_t i = 0; i < route->listener.count; i++) {
        int index = conf_find_listener(conf, route->listener.items[i]);

        if (index < 0)
            unknown_name(check, "listener", route->listener.items[i], conf->n_listeners,
                         listener_name_at);
        else if (index < CONF_MAX_LISTENERS)
            route->listener_mask |= UINT64_C(1) << index;
    }
    if (!route->listener.count)
        route->listener_mask = UINT64_MAX;
}

static int take_usual_methods(struct conf_route *route)
{
    const char *const *usual = route->action->methods;
    size_t n = 0;

    while (usual[n])
        n++;
    free(route->methods.items); /* of an empty list */
    route->methods.items = calloc(n + 1, sizeof *route->methods.items);
    for (size_t i = 0; route->methods.items && i < n; i++) {
        route->methods.items[i] = strdup(usual[i]);
        if (!route->methods.items[i])
            return -ENOMEM;
        route->methods.count++;
    }
    return route->methods.items ? 0 : -ENOMEM;
}

static int resolve_methods(struct conf_route *route)
{
    int r = route->action && !route->methods.count ? take_usual_methods(route) : 0;

    for (size_t i = 0; i < route->methods.count; i++)
        route->method_mask |= METHOD_BIT(http_method_find(route->methods.items[i]));
    return r;
}

/* Headers that the daemon writes itself; a second one would break framing or contradict it. */
static bool reserved_header(const char *name)
{
    static const char *const reserved[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                           "Date",           "X-Request-Id",      "Keep-Alive",
                                           "Upgrade",        "Trailer",           NULL};

    for (size_t i = 0; reserved[i]; i++)
        if (!strcasecmp(reserved[i], name))
            return true;
    return false;
}

static bool valid_header_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

/* Heads are put together in a buffer of fixed size (loop.h). */
enum { MAX_HEADER_BLOCK = 8192 };

/* What is the same for every answer is put together now. */
static void add_header(struct conf_route *route, size_t i, struct strbuf *block)
{
    const char *constant = template_constant(route->header_templates[i]);

    if (!constant) {
        route->has_header_templates = true;
        return;
    }
    strbuf_addf(block, "%s: %s\r\n", route->headers.items[i].name, constant);
    template_free(route->header_templates[i]);
    route->header_templates[i] = NULL;
}

static int build_header_block(struct conf_route *route, const struct conf_check *check)
{
    struct strbuf block = {0};
    int r = 0;

    route->header_templates = calloc(route->headers.count + 1, sizeof(struct template *));
    if (!route->header_templates)
        return -ENOMEM;
    for (size_t i = 0; i < route->headers.count && !r; i++) {
        const struct pair *header = &route->headers.items[i];

        if (!valid_header_name(header->name))
            conf_check_fault(check, "headers", "\"%s\" is no header name; allowed: %s",
                             header->name, HEADER_NAME_ALLOWED);
        else if (reserved_header(header->name))
            conf_check_fault(check, "headers",
                             "\"%s\" is written by the daemon itself; allowed: "
                             "any other header",
                             header->name);
        else if (check->conf->server.server_tokens && !strcasecmp(header->name, "Server"))
            conf_check_fault(check, "headers",
                             "\"%s\" is written by the daemon itself while server.server_tokens is "
                             "true; allowed: any other header",
                             header->name);
        else if (!valid_header_value(header->value))
            conf_check_fault(check, "headers",
                             "the value of \"%s\" has control characters; "
                             "allowed: printable text and tabs",
                             header->name);
        r = template_compile(check, "headers", header->value, TEMPLATE_HEADER,
                             &route->header_templates[i]);
        add_header(route, i, &block);
    }
    if (block.len > MAX_HEADER_BLOCK)
        conf_check_fault(check, "headers", "found %zu bytes; allowed: at most %d in all", block.len,
                         MAX_HEADER_BLOCK);
    route->header_block = strbuf_take(&block);
    return route->header_block ? r : -ENOMEM;
}

static int add_to_router(struct loader *l, const struct conf_route *route,
                         const struct conf_check *check)
{
    struct strbuf why = {0};
    size_t other = 0;
    int r;

    if (!route->path || !route->method_mask)
        return 0;
    r = router_add(l->conf->router, route->path, route->method_mask, route->listener_mask,
                   route->index, &other, &why);
    if (r == -EINVAL)
        conf_check_fault(check, "path", "found \"%s\": %s", route->path, strbuf_cstr(&why));
    else if (r == -EEXIST)
        conf_check_fault(check, "path",
                         "\"%s\" matches the same requests as routes[%zu], \"%s\" (%s); allowed: "
                         "another path, method or listener",
                         route->path, other, l->conf->routes[other].path,
                         conf_places_route(l->places, other, "path"));
    strbuf_free(&why);
    return r == -ENOMEM ? r : 0;
}

/* From here on it makes no difference whether a route has written a limit or has taken it over. */
static void inherit(const struct conf *conf, struct conf_route *route)
{
    conf_pools_inherit(conf, route);
    if (route->max_body_size == OPTION_WORD)
        route->max_body_size = conf->server.max_body_size;
}

static int complete_route(struct loader *l, struct conf_route *route)
{
    const struct conf_check check = check_of(l, route);
    int r;

    resolve_names(route, &check);
    inherit(l->conf, route);
    r = resolve_methods(route);
    if (!r)
        r = params_prepare(&route->params, &check);
    if (!r)
        r = build_header_block(route, &check);
    if (!r)
        r = add_to_router(l, route, &check);
    /* Runs after faults too: `create` takes what is missing or was refused as not set. */
    if (!r && route->action && route->action->create)
        r = route->action->create(route->settings, &check);
    return r;
}

/* Before any route is completed: actions may speak of other routes' pools. */
static int identify_route(struct loader *l, size_t index)
{
    struct conf_route *route = &l->conf->routes[index];
    const struct conf_check check = check_of(l, route);

    route->index = index;
    return conf_pools_identify(l->conf, route, &check);
}

static int complete(struct loader *l)
{
    struct conf *conf = l->conf;
    int r = conf_pools_add_default(conf);

    if (!r)
        r = add_default_listener(l);
    if (!r && !(conf->router = router_new()))
        r = -ENOMEM;
    if (!r)
        check_listeners(l);
    if (!r)
        conf_pools_check(conf, l->places, l->faults);
    if (!r)
        check_access_log(l);
    for (size_t i = 0; i < conf->n_routes && !r; i++)
        r = identify_route(l, i);
    for (size_t i = 0; i < conf->n_routes && !r; i++)
        r = complete_route(l, &conf->routes[i]);
    return r;
}

struct conf *conf_load(const struct conf_source *source, struct conf_faults *faults)
{
    struct loader l = {.conf = calloc(1, sizeof(struct conf)), .faults = faults};
    int r = -ENOMEM;

    if (l.conf && (l.conf->path = strdup(source->path)))
        r = conf_file_read(source, l.conf, &l.places, faults);
    if (!r)
        r = complete(&l);
    if (r == -ENOMEM || faults->out_of_memory) {
        faults->out_of_memory = true;
        conf_faults_add(faults, source->path, "out of memory");
    }
    conf_places_free(l.places);
    if (!r && !faults->count && !faults->out_of_memory)
        return l.conf;
    conf_free(l.conf);
    return NULL;
}

static void free_route(struct conf_route *route)
{
    if (route->action && route->settings) {
        if (route->action->destroy)
            route->action->destroy(route->settings);
        option_clear_all(route->action->options, route->settings);
    }
    free(route->settings);
    free(route->header_block);
    for (size_t i = 0; i < route->headers.count && route->header_templates; i++)
        template_free(route->header_templates[i]);
    free(route->header_templates);
    params_release(&route->params);
    free(route->key);
    option_clear_all(conf_route_options, route);
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < conf->n_routes; i++)
        free_route(&conf->routes[i]);
    for (size_t i = 0; i < conf->n_pools; i++) {
        option_clear_all(conf_pool_options, &conf->pools[i]);
        free(conf->pools[i].name);
    }
    for (size_t i = 0; i < conf->n_listeners; i++) {
        option_clear_all(conf_listener_options, &conf->listeners[i]);
        free(conf->listeners[i].name);
    }
    option_clear_all(conf_server_options, &conf->server);
    router_free(conf->router);
    free(conf->routes);
    free(conf->pools);
    free(conf->listeners);
    free(conf->path);
    free(conf);
}

void conf_restart_diff(const struct conf *running, const struct conf *next, struct strbuf *out)
{
    for (const struct option_row *row = conf_server_options; row->name; row++)
        if ((row->flags & OPTION_RESTART) && !option_equal(row, &running->server, &next->server))
            strbuf_addf(out, "%sserver.%s", out->len ? ", " : "", row->name);
}
