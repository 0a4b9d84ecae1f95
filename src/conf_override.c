/* DESIGN
 *
 * The value is parsed by libconfig as the value of a lone setting and copied into the tree.  What an
 * override makes carries its text in libconfig's hook, by which faults find their place. */
#include "conf_override.h"

#include "conf_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *conf_override_of(const config_setting_t *setting)
{
    for (; setting; setting = config_setting_parent(setting))
        if (config_setting_get_hook(setting))
            return config_setting_get_hook(setting);
    return NULL;
}

const char *conf_override_value(const config_setting_t *setting)
{
    const char *text = config_setting_get_hook(setting);
    const char *equals = text ? strchr(text, '=') : NULL;

    return equals ? equals + 1 : NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int copy_setting(config_setting_t *parent, const char *name, const config_setting_t *from)
{
    config_setting_t *to = config_setting_add(parent, name, config_setting_type(from));
    int r = 0;

    if (!to)
        return -EINVAL;
    switch (config_setting_type(from)) {
    case CONFIG_TYPE_INT:
        config_setting_set_int(to, config_setting_get_int(from));
        break;
    case CONFIG_TYPE_INT64:
        config_setting_set_int64(to, config_setting_get_int64(from));
        break;
    case CONFIG_TYPE_FLOAT:
        config_setting_set_float(to, config_setting_get_float(from));
        break;
    case CONFIG_TYPE_BOOL:
        config_setting_set_bool(to, config_setting_get_bool(from));
        break;
    case CONFIG_TYPE_STRING:
        if (config_setting_get_string(from))
            config_setting_set_string(to, config_setting_get_string(from));
        break;
    default:
        for (int i = 0; i < config_setting_length(from) && !r; i++) {
            const config_setting_t *item = config_setting_get_elem(from, (unsigned)i);

            r = copy_setting(to, config_setting_name(item), item);
        }
    }
    return r;
}

static int set_string(config_setting_t *parent, const char *name, const char *text)
{
    config_setting_t *to = config_setting_add(parent, name, CONFIG_TYPE_STRING);

    return to && config_setting_set_string(to, text) ? 0 : -EINVAL;
}

/* The value as a file would have it; text that is no value, or more than one, is a string. */
static int put_value(config_setting_t *parent, const char *name, const char *value)
{
    struct conf_faults faults = {0};
    struct conf_text text = {0};
    struct strbuf fragment = {0};
    config_setting_t *root;
    config_t parsed;
    int r = -EINVAL;

    config_init(&parsed);
    strbuf_addf(&fragment, "v = %s\n;", value);
    if (fragment.failed)
        r = -ENOMEM;
    else if (!strchr(value, '@'))
        r = conf_text_from_string("-o", strbuf_cstr(&fragment), &text, &faults);
    if (!r && !config_read_string(&parsed, strbuf_cstr(&text.text)))
        r = -EINVAL;
    root = config_root_setting(&parsed);
    if (config_setting_get_member(parent, name))
        config_setting_remove(parent, name);
    if (!r && !faults.count && config_setting_length(root) == 1)
        r = copy_setting(parent, name, config_setting_get_elem(root, 0));
    else if (r != -ENOMEM)
        r = set_string(parent, name, value);
    strbuf_free(&fragment);
    conf_text_free(&text);
    conf_faults_clear(&faults);
    config_destroy(&parsed);
    return r;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int mark(config_setting_t *setting, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return -ENOMEM;
    free(config_setting_get_hook(setting));
    config_setting_set_hook(setting, copy);
    return 0;
}

static config_setting_t *element(config_setting_t *list, const char *index)
{
    char digits[16] = "";
    size_t len = strcspn(index, "]");
    int64_t i;

    if (index[len] != ']' || index[len + 1] || len >= sizeof digits || *index == '-')
        return NULL;
    memcpy(digits, index, len);
    if (parse_i64(digits, &i) || config_setting_is_group(list) || i >= config_setting_length(list))
        return NULL;
    return config_setting_get_elem(list, (unsigned)i);
}

/* An override changes what is configured.  A pool or listener that is not is more likely a name
 * misspelt, but for those that exist without being written. */
static bool may_be_made(const config_setting_t *parent, const char *name)
{
    const char *section = config_setting_name(parent);

    if (section && !strcmp(section, "pools"))
        return !strcmp(name, "default");
    if (section && !strcmp(section, "listeners"))
        return !config_setting_length(parent) && !strcmp(name, "main");
    return true;
}

/* The group that one name leads to; made when it is not there and no list is wanted. */
static config_setting_t *member(config_setting_t *at, const char *name, bool list, const char *text)
{
    config_setting_t *next;

    if (!config_setting_is_group(at))
        return NULL;
    next = config_setting_get_member(at, name);
    if (next || list || !may_be_made(at, name))
        return next;
    next = config_setting_add(at, name, CONFIG_TYPE_GROUP);
    return next && mark(next, text) == 0 ? next : NULL;
}

/* Follows all but the last name of `path` (which is cut up); `*last` becomes that name. */
static config_setting_t *follow(config_setting_t *at, char *path, const char *text, char **last)
{
    char *p = path;

    while (at) {
        bool index = *p == '[';
        size_t len = strcspn(p + index, ".[") + index;
        char stop = p[len];

        p[len] = '\0';
        *last = p;
        if (!stop)
            return index || !*p ? NULL : at;
        at = index ? element(at, p + 1) : member(at, p, stop == '[', text);
        p += len;
        if (stop == '[')
            *p = '[';
        else
            p++;
    }
    return NULL;
}

int conf_override_apply(config_t *tree, const char *text, struct conf_faults *faults)
{
    const char *equals = strchr(text, '=');
    char *path = strndup(text, equals ? (size_t)(equals - text) : 0), *last = NULL;
    config_setting_t *at, *set;
    struct strbuf where = {0};
    int r = -EINVAL;

    if (!path)
        return -ENOMEM;
    equals = equals ? equals : text + strlen(text) - 1; /* the command line has seen to it */
    strbuf_addf(&where, "-o %s", text);
    at = follow(config_root_setting(tree), path, text, &last);
    if (!at || !config_setting_is_group(at))
        conf_faults_add(faults, strbuf_cstr(&where),
                        "no such place in the configuration; allowed: the path of "
                        "an option of a group that it has");
    else {
        r = put_value(at, last, equals + 1);
        set = r ? NULL : config_setting_get_member(at, last);
        if (set)
            r = mark(set, text);
        else if (r == -EINVAL)
            conf_faults_add(faults, strbuf_cstr(&where), "\"%s\" is not the name of an option",
                            last);
    }
    strbuf_free(&where);
    free(path);
    return r == -ENOMEM ? r : 0;
}
