/* DESIGN
 *
 * libconfig parses; this file walks its tree once, from the root down, and takes every setting to the
 * row of its name.  A setting without a row is a fault: nothing is looked up, so nothing can be
 * passed over.  Overrides (-o) are put into the tree before the walk (conf_override.c), so that they
 * are checked like everything else.
 *
 * Runs on one thread; libconfig's tree is gone when conf_file_read returns. */
#include "conf_file.h"

#include "conf_override.h"
#include "conf_text.h"

#include <ctype.h>
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct reader {
    const struct conf_source *source;
    struct conf *conf;
    struct conf_text text;
    config_t tree;
    struct conf_places *places;
    struct conf_faults *faults;
    bool out_of_memory;
};

/* ---- places ---------------------------------------------------------------------------------- */

static void find_where(const struct reader *r, const config_setting_t *setting, struct strbuf *out)
{
    const char *override = conf_override_of(setting);
    unsigned line = config_setting_source_line(setting);

    if (override)
        strbuf_addf(out, "-o %s", override);
    else if (line)
        conf_text_where(&r->text, line, out);
    else
        strbuf_adds(out, r->source->path);
}

static void note_place(struct reader *r, const char *key, const config_setting_t *setting)
{
    struct strbuf where = {0};

    find_where(r, setting, &where);
    r->out_of_memory |= conf_places_add(r->places, key, strbuf_cstr(&where)) != 0;
    strbuf_free(&where);
}

static void fault(struct reader *r, const config_setting_t *setting, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void fault(struct reader *r, const config_setting_t *setting, const char *fmt, ...)
{
    struct strbuf where = {0}, text = {0};
    va_list ap;

    find_where(r, setting, &where);
    va_start(ap, fmt);
    strbuf_addv(&text, fmt, ap);
    va_end(ap);
    conf_faults_add(r->faults, strbuf_cstr(&where), "%s", strbuf_cstr(&text));
    strbuf_free(&where);
    strbuf_free(&text);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void value_free(struct value *value)
{
    for (size_t i = 0; i < value->count; i++)
        value_free(&value->items[i]);
    free(value->items);
    free(value->names);
    *value = (struct value){0};
}

static int value_take(const config_setting_t *setting, struct value *out)
{
    int count, r = 0;

    *out = (struct value){0};
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        out->kind = VALUE_INT;
        out->i = config_setting_get_int64(setting);
        return 0;
    case CONFIG_TYPE_FLOAT:
        out->kind = VALUE_FLOAT;
        out->f = config_setting_get_float(setting);
        return 0;
    case CONFIG_TYPE_BOOL:
        out->kind = VALUE_BOOL;
        out->b = config_setting_get_bool(setting);
        return 0;
    case CONFIG_TYPE_STRING:
        out->kind = VALUE_STRING;
        out->s = config_setting_get_string(setting);
        out->s = out->s ? out->s : "";
        return 0;
    default:
        break;
    }
    out->kind = config_setting_is_group(setting) ? VALUE_GROUP : VALUE_LIST;
    count = config_setting_length(setting);
    out->items = calloc((size_t)count + 1, sizeof *out->items);
    out->names = calloc((size_t)count + 1, sizeof *out->names);
    if (!out->items || !out->names)
        return -ENOMEM;
    for (int i = 0; i < count && !r; i++) {
        const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);

        out->names[i] = config_setting_name(item);
        r = value_take(item, &out->items[i]);
        out->count++;
    }
    return r;
}

/* An override's text, where the option wants a string and no quotes were typed. */
static bool raw_override(const config_setting_t *setting, const struct option_row *row,
                         struct value *out)
{
    const char *text = conf_override_value(setting);
    bool text_type = row->type == OPTION_STRING || row->type == OPTION_ENUM ||
                     row->type == OPTION_STRINGS || row->type == OPTION_MODE;

    if (!text || !text_type || config_setting_type(setting) == CONFIG_TYPE_STRING ||
        config_setting_is_aggregate(setting))
        return false;
    *out = (struct value){.kind = VALUE_STRING, .s = text};
    return true;
}

static void set_option(struct reader *r, const config_setting_t *setting,
                       const struct option_row *row, void *settings, const char *path)
{
    struct strbuf why = {0};
    struct value value;
    int result = 0;

    if (!raw_override(setting, row, &value))
        result = value_take(setting, &value);
    if (!result && !(value.kind == VALUE_INT && value.i == CONF_TEXT_TOO_LARGE))
        result = option_set(row, settings, &value, &why);
    if (result == -EINVAL)
        fault(r, setting, "%s: %s", path, strbuf_cstr(&why));
    else if (result)
        r->out_of_memory = true;
    value_free(&value);
    strbuf_free(&why);
}

static void read_group_list(struct reader *r, const config_setting_t *setting,
                            const struct option_row *row, void *settings, const char *path);

/* ---- groups ---------------------------------------------------------------------------------- */

/* The tables whose rows a group may hold; a name is looked up in their order. */
struct layer {
    const struct option_row *table;
    void *settings;
};

enum { MAX_LAYERS = 2 };

static bool is_duplicate(const char *name)
{
    return !strncmp(name, CONF_TEXT_DUPLICATE_PREFIX, sizeof CONF_TEXT_DUPLICATE_PREFIX - 1);
}

static void unknown_option(struct reader *r, const config_setting_t *setting, const char *path,
                           const struct layer *layers, const char *const *others)
{
    struct str_nearest nearest = {.wanted = config_setting_name(setting)};
    struct strbuf allowed = {0};

    for (size_t i = 0; i < MAX_LAYERS && layers; i++)
        for (const struct option_row *row = layers[i].table; row && row->name; row++) {
            str_nearest_try(&nearest, row->name);
            strbuf_addf(&allowed, "%s%s", allowed.len ? ", " : "", row->name);
        }
    for (size_t i = 0; others && others[i]; i++) {
        str_nearest_try(&nearest, others[i]);
        strbuf_addf(&allowed, "%s%s", allowed.len ? ", " : "", others[i]);
    }
    fault(r, setting, "%s: unknown option \"%s\"%s%s%s; allowed: %s", path,
          config_setting_name(setting), nearest.best ? "; did you mean \"" : "",
          nearest.best ? nearest.best : "", nearest.best ? "\"?" : "", strbuf_cstr(&allowed));
    strbuf_free(&allowed);
}

static bool expect_group(struct reader *r, const config_setting_t *setting, const char *path)
{
    struct strbuf found = {0};
    struct value value;

    if (config_setting_is_group(setting))
        return true;
    if (value_take(setting, &value))
        r->out_of_memory = true;
    else
        value_print(&value, &found);
    value_free(&value);
    fault(r, setting, "%s: found %s; allowed: a group, { ... }", path, strbuf_cstr(&found));
    strbuf_free(&found);
    return false;
}

/* Reads one group into its settings structs: defaults first, then what is written. */
static void read_group(struct reader *r, const config_setting_t *group, const char *path,
                       const struct layer layers[MAX_LAYERS], bool unknown_is_fault)
{
    int count = group ? config_setting_length(group) : 0;

    for (size_t l = 0; l < MAX_LAYERS; l++)
        r->out_of_memory |= option_set_defaults(layers[l].table, layers[l].settings) != 0;
    for (int i = 0; i < count; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(setting);
        struct strbuf key = {0};
        size_t l = 0;
        const struct option_row *row = NULL;

        if (is_duplicate(name))
            continue;
        strbuf_addf(&key, "%s.%s", path, name);
        for (; l < MAX_LAYERS && !row; l++)
            row = option_find(layers[l].table, name);
        note_place(r, strbuf_cstr(&key), setting);
        if (row && row->type == OPTION_GROUPS)
            read_group_list(r, setting, row, layers[l - 1].settings, strbuf_cstr(&key));
        else if (row)
            set_option(r, setting, row, layers[l - 1].settings, strbuf_cstr(&key));
        else if (unknown_is_fault)
            unknown_option(r, setting, strbuf_cstr(&key), layers, NULL);
        strbuf_free(&key);
    }
    for (size_t l = 0; l < MAX_LAYERS; l++)
        for (const struct option_row *row = layers[l].table; row && row->name; row++)
            if ((row->flags & OPTION_REQUIRED) && group &&
                !config_setting_get_member(group, row->name)) {
                struct strbuf allowed = {0};

                option_print_allowed(row, &allowed);
                fault(r, group, "%s: \"%s\" is missing; allowed: %s", path, row->name,
                      strbuf_cstr(&allowed));
                strbuf_free(&allowed);
            }
}

static void read_plain_group(struct reader *r, const config_setting_t *group, const char *path,
                             const struct option_row *table, void *settings)
{
    const struct layer layers[MAX_LAYERS] = {{table, settings}};

    read_group(r, group, path, layers, true);
}

/* A list of groups inside a group: each is read by the rows that the option's own row names. */
static void read_group_list(struct reader *r, const config_setting_t *setting,
                            const struct option_row *row, void *settings, const char *path)
{
    struct group_list *list = (void *)((char *)settings + row->offset);

    if (!config_setting_is_list(setting)) {
        set_option(r, setting, row, settings, path);
        return;
    }
    for (int i = 0; i < config_setting_length(setting); i++) {
        const config_setting_t *group = config_setting_get_elem(setting, (unsigned)i);
        struct strbuf key = {0};
        void *item;

        strbuf_addf(&key, "%s[%d]", path, i);
        note_place(r, strbuf_cstr(&key), group);
        item = option_add_group(row->group, list);
        if (!item)
            r->out_of_memory = true;
        else if (expect_group(r, group, strbuf_cstr(&key)))
            read_plain_group(r, group, strbuf_cstr(&key), row->group->rows, item);
        else
            r->out_of_memory |= option_set_defaults(row->group->rows, item) != 0;
        strbuf_free(&key);
    }
}

/* Calls `read_one` for each named group inside "listeners" or "pools". */
static void read_named_groups(struct reader *r, const config_setting_t *section, const char *path,
                              void (*read_one)(struct reader *, const config_setting_t *,
                                               const char *path, const char *name))
{
    for (int i = 0; i < config_setting_length(section); i++) {
        const config_setting_t *group = config_setting_get_elem(section, (unsigned)i);
        const char *name = config_setting_name(group);
        struct strbuf key = {0};

        if (is_duplicate(name))
            continue;
        strbuf_addf(&key, "%s.%s", path, name);
        note_place(r, strbuf_cstr(&key), group);
        if (strlen(name) > 64)
            fault(r, group, "%s: the name has %zu bytes; allowed: 1 to 64", strbuf_cstr(&key),
                  strlen(name));
        else if (expect_group(r, group, strbuf_cstr(&key)))
            read_one(r, group, strbuf_cstr(&key), name);
        strbuf_free(&key);
    }
}

/* Makes room for one more element of `size` bytes, zeroed; NULL: out of memory, noted. */
static void *grow(struct reader *r, void *array, size_t *count, size_t size)
{
    char *bigger = reallocarray(*(void **)array, *count + 1, size);

    if (!bigger) {
        r->out_of_memory = true;
        return NULL;
    }
    *(void **)array = bigger;
    memset(bigger + *count * size, 0, size);
    return bigger + (*count)++ * size;
}

static void read_listener(struct reader *r, const config_setting_t *group, const char *path,
                          const char *name)
{
    struct conf_listener *listener =
        grow(r, &r->conf->listeners, &r->conf->n_listeners, sizeof *listener);

    if (!listener)
        return;
    listener->name = strdup(name);
    r->out_of_memory |= !listener->name;
    read_plain_group(r, group, path, conf_listener_options, listener);
}

static void read_pool(struct reader *r, const config_setting_t *group, const char *path,
                      const char *name)
{
    struct conf_pool *pool = grow(r, &r->conf->pools, &r->conf->n_pools, sizeof *pool);

    if (!pool)
        return;
    pool->name = strdup(name);
    r->out_of_memory |= !pool->name;
    read_plain_group(r, group, path, conf_pool_options, pool);
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* Overrides need no quotes: "-o routes[0].action=5" names an action too. */
static const char *action_name(const config_setting_t *setting)
{
    const char *override = conf_override_value(setting);

    if (config_setting_type(setting) == CONFIG_TYPE_STRING || !override)
        return config_setting_get_string(setting);
    return config_setting_is_aggregate(setting) ? NULL : override;
}

static const struct conf_action *find_route_action(struct reader *r, const config_setting_t *group,
                                                   const char *path)
{
    const config_setting_t *setting = config_setting_get_member(group, "action");
    const char *name = setting ? action_name(setting) : NULL;
    const struct conf_action *action = name ? r->source->find_action(name) : NULL;
    struct str_nearest nearest = {.wanted = name};
    struct strbuf allowed = {0};

    if (action || !name)
        return action;
    for (size_t i = 0; r->source->action_at(i); i++) {
        str_nearest_try(&nearest, r->source->action_at(i)->name);
        strbuf_addf(&allowed, "%s%s", i ? ", " : "", r->source->action_at(i)->name);
    }
    fault(r, setting, "%s.action: unknown action \"%s\"%s%s%s; allowed: %s", path, name,
          nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
          nearest.best ? "\"?" : "", strbuf_cstr(&allowed));
    strbuf_free(&allowed);
    return NULL;
}

/* Options that only blocking actions take. */
static void check_blocking_only(struct reader *r, const config_setting_t *group, const char *path,
                                const struct conf_action *action)
{
    for (const struct option_row *row = conf_route_options; row->name; row++) {
        const config_setting_t *setting = config_setting_get_member(group, row->name);

        if (setting && (row->flags & OPTION_BLOCKING) && !action->blocking &&
            !option_find(action->options, row->name))
            fault(r, setting,
                  "%s.%s: found with the action \"%s\"; allowed: only with blocking actions, this "
                  "one runs on the event loop",
                  path, row->name, action->name);
    }
}

static void read_route(struct reader *r, const config_setting_t *group, const char *path)
{
    struct conf_route *route = grow(r, &r->conf->routes, &r->conf->n_routes, sizeof *route);
    struct layer layers[MAX_LAYERS] = {{0}};

    if (!route)
        return;
    route->index = r->conf->n_routes - 1;
    route->pool_index = CONF_NO_POOL;
    route->action = find_route_action(r, group, path);
    if (route->action) {
        route->settings = calloc(1, route->action->settings_size + 1);
        if (!route->settings) {
            r->out_of_memory = true;
            return;
        }
        check_blocking_only(r, group, path, route->action);
        layers[0] = (struct layer){route->action->options, route->settings};
    }
    layers[1] = (struct layer){conf_route_options, route};
    /* Without a known action nobody can tell which options it takes. */
    read_group(r, group, path, layers, route->action);
}

static void read_routes(struct reader *r, const config_setting_t *section)
{
    if (!config_setting_is_list(section)) {
        fault(r, section, "routes: found %s; allowed: a list of groups, ( { ... }, { ... } )",
              config_setting_is_group(section) ? "a group" : "no list");
        return;
    }
    for (int i = 0; i < config_setting_length(section); i++) {
        const config_setting_t *group = config_setting_get_elem(section, (unsigned)i);
        struct strbuf path = {0};

        strbuf_addf(&path, "routes[%d]", i);
        note_place(r, strbuf_cstr(&path), group);
        if (expect_group(r, group, strbuf_cstr(&path)))
            read_route(r, group, strbuf_cstr(&path));
        else
            grow(r, &r->conf->routes, &r->conf->n_routes, sizeof(struct conf_route));
        strbuf_free(&path);
    }
}

#define TEXT(macro) TEXT_OF(macro)
#define TEXT_OF(text) #text

const char *conf_parser_version(void)
{
    return TEXT(LIBCONFIG_VER_MAJOR) "." TEXT(LIBCONFIG_VER_MINOR);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void read_tree(struct reader *r)
{
    static const char *const sections[] = {"server", "listeners", "pools", "routes", NULL};
    config_setting_t *root = config_root_setting(&r->tree);
    const config_setting_t *server = config_setting_get_member(root, "server");

    if (server && !expect_group(r, server, "server"))
        server = NULL;
    read_plain_group(r, server, "server", conf_server_options, &r->conf->server);
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *section = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(section);

        if (is_duplicate(name) || !strcmp(name, "server"))
            continue;
        note_place(r, name, section);
        if (!strcmp(name, "routes"))
            read_routes(r, section);
        else if (strcmp(name, "listeners") && strcmp(name, "pools"))
            unknown_option(r, section, name, NULL, sections);
        else if (expect_group(r, section, name))
            read_named_groups(r, section, name, *name == 'l' ? read_listener : read_pool);
        if (!strcmp(name, "listeners") && config_setting_is_group(section) &&
            !config_setting_length(section))
            fault(r, section, "listeners: the group is empty; allowed: at least one listener");
    }
}

/* libconfig does not look whether it gets the memory that it asks for.  Whether there is enough can be
 * asked beforehand, and then it most likely is still there.  Not of malloc, which takes a large block that
 * is freed as a reason to keep all those to come. */
static bool has_memory(const struct strbuf *text)
{
    enum { LEAST = 1 << 20, PER_BYTE = 64 };
    size_t size = LEAST + PER_BYTE * text->len;
    void *probe = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (probe != MAP_FAILED)
        munmap(probe, size);
    return probe != MAP_FAILED;
}

int conf_file_read(const struct conf_source *source, struct conf *conf, struct conf_places **places,
                   struct conf_faults *faults)
{
    struct reader r = {.source = source, .conf = conf, .faults = faults};
    int result;

    r.places = *places = conf_places_new(source->path);
    if (!r.places)
        return -ENOMEM;
    result = conf_text_load(source->path, &r.text, faults);
    if (!result && !has_memory(&r.text.text))
        result = -ENOMEM;
    config_init(&r.tree);
    config_set_destructor(&r.tree, free);
    if (!result && !config_read_string(&r.tree, strbuf_cstr(&r.text.text))) {
        struct strbuf where = {0};

        conf_text_where(&r.text, (unsigned)config_error_line(&r.tree), &where);
        conf_faults_add(faults, strbuf_cstr(&where), "%s", config_error_text(&r.tree));
        strbuf_free(&where);
    } else if (!result) {
        for (size_t i = 0; i < source->n_overrides; i++)
            r.out_of_memory |= conf_override_apply(&r.tree, source->overrides[i], faults) != 0;
        read_tree(&r);
    }
    config_destroy(&r.tree);
    conf_text_free(&r.text);
    return result == -ENOMEM || r.out_of_memory || faults->out_of_memory ? -ENOMEM : 0;
}
