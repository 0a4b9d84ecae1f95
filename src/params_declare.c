#include "clock.h"
#include "guard_chars.h"
#include "param_value.h"
#include "params.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEFAULT_MAX_LENGTH = 4096 };

static const struct option_row rows[] = {
    {"name", OPTION_STRING, offsetof(struct param, name), NULL, 1, 64, NULL, OPTION_REQUIRED, NULL,
     "The parameter's name, in the request and in ${param.NAME}."},
    {"in", OPTION_ENUM, offsetof(struct param, in), "query", 0, 0, param_places, 0, NULL,
     "Where in the request the parameter stands."},
    {"type", OPTION_ENUM, offsetof(struct param, type), "string", 0, 0, param_types, 0, NULL,
     "What the parameter's text must be."},
    {"default", OPTION_SCALAR, offsetof(struct param, fallback), NULL, 0, 0, NULL, 0, NULL,
     "The value when the request has none; without it the parameter must be given."},
    {"min", OPTION_SCALAR, offsetof(struct param, min), NULL, 1, 64, NULL, 0, NULL,
     "The least value of a number or duration."},
    {"max", OPTION_SCALAR, offsetof(struct param, max), NULL, 1, 64, NULL, 0, NULL,
     "The greatest value of a number or duration."},
    {"pattern", OPTION_STRING, offsetof(struct param, pattern), NULL, 1, 1024, NULL, 0, NULL,
     "A POSIX extended regular expression that the whole of a string must match."},
    {"max_length", OPTION_INT, offsetof(struct param, max_length), NULL, 1, 1048576, NULL,
     OPTION_INHERIT, "bytes", "The longest string; 4096 when it is not written."},
    {"values", OPTION_STRINGS, offsetof(struct param, values), NULL, 0, 0, NULL, 0, NULL,
     "The texts that an enum may be."},
    {0},
};

const struct option_group param_group = {.rows = rows, .size = sizeof(struct param)};

/* Adds a fault of an option of one parameter. */
static void param_fault(const struct conf_check *check, size_t index, const char *option,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void param_fault(const struct conf_check *check, size_t index, const char *option,
                        const char *fmt, ...)
{
    struct strbuf path = {0}, text = {0};
    va_list ap;

    strbuf_addf(&path, "params[%zu].%s", index, option);
    va_start(ap, fmt);
    strbuf_addv(&text, fmt, ap);
    va_end(ap);
    conf_check_fault(check, strbuf_cstr(&path), "%s", strbuf_cstr(&text));
    strbuf_free(&path);
    strbuf_free(&text);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_printable(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name <= 0x20 || *name == 0x7f || strchr("{}$", *name))
            return false;
    return true;
}

static bool is_token(const char *name)
{
    for (; *name; name++)
        if (!char_is(*name, CHAR_TOKEN))
            return false;
    return true;
}

static void check_name(const struct group_list *params, size_t index,
                       const struct conf_check *check)
{
    const struct param *param = option_group_at(&param_group, params, index);

    if (!is_printable(param->name))
        param_fault(check, index, "name",
                    "found \"%s\"; allowed: no blanks, control characters, $, { or }", param->name);
    else if (param->in == PARAM_HEADER && !is_token(param->name))
        param_fault(check, index, "name",
                    "\"%s\" is no header name; allowed: letters, digits and !#$%%&'*+-.^_`|~",
                    param->name);
    else if (param->in == PARAM_PATH && check->route->path &&
             !router_pattern_has_name(check->route->path, param->name))
        param_fault(check, index, "name",
                    "\"%s\" is no named segment of \"%s\"; allowed: a NAME that stands there as "
                    "{NAME}, or \"rest\" when the path ends in /*",
                    param->name, check->route->path);
    for (size_t i = 0; i < index; i++) {
        const struct param *other = option_group_at(&param_group, params, i);

        if (other->name && !strcmp(other->name, param->name))
            param_fault(check, index, "name",
                        "\"%s\" is the name of params[%zu] too; allowed: a name of its own",
                        param->name, i);
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static bool has_bounds(const struct param *param)
{
    return param->type == PARAM_INT || param->type == PARAM_DURATION || param->type == PARAM_NUMBER;
}

static void check_foreign(const struct param *param, size_t index, const struct conf_check *check)
{
    const struct {
        const char *option;
        bool written, fits;
        const char *types;
    } table[] = {
        {"min", param->min != NULL, has_bounds(param), "\"int\", \"number\" and \"duration\""},
        {"max", param->max != NULL, has_bounds(param), "\"int\", \"number\" and \"duration\""},
        {"pattern", param->pattern != NULL, param->type == PARAM_STRING, "\"string\""},
        {"max_length", param->max_length != OPTION_WORD, param->type == PARAM_STRING, "\"string\""},
        {"values", param->values.count > 0, param->type == PARAM_ENUM, "\"enum\""},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].written && !table[i].fits)
            param_fault(check, index, table[i].option,
                        "found with the type \"%s\"; allowed: only with %s",
                        param_types[param->type], table[i].types);
}

static void read_bound(const struct param *param, const char *option, const char *text,
                       int64_t *integer, double *number, size_t index,
                       const struct conf_check *check)
{
    int r;

    if (!text || !has_bounds(param))
        return;
    r = param->type == PARAM_NUMBER ? param_parse_number(text, number)
                                    : param_parse_int((enum param_type)param->type, text, integer);
    if (r)
        param_fault(check, index, option, "found \"%s\"; allowed: a value of the type \"%s\"", text,
                    param_types[param->type]);
}

/* A duration always has bounds: what waits for ever holds its place for ever. */
enum { LONGEST_HOURS = 1 };

static void read_bounds(struct param *param, size_t index, const struct conf_check *check)
{
    bool duration = param->type == PARAM_DURATION;

    param->int_min = duration ? 0 : INT64_MIN;
    param->int_max = duration ? LONGEST_HOURS * 3600 * NS_PER_SEC : INT64_MAX;
    param->number_min = -__DBL_MAX__;
    param->number_max = __DBL_MAX__;
    read_bound(param, "min", param->min, &param->int_min, &param->number_min, index, check);
    read_bound(param, "max", param->max, &param->int_max, &param->number_max, index, check);
    if (param->int_min > param->int_max || param->number_min > param->number_max)
        param_fault(check, index, param->max ? "max" : "min",
                    "the least value is greater than the greatest");
}

static void check_default(struct param *param, size_t index, const struct conf_check *check)
{
    struct strbuf why = {0};

    if (param->fallback &&
        !param_parse(param, param->fallback, strlen(param->fallback), &param->fallback_value, &why))
        param_fault(check, index, "default", "%s", strbuf_cstr(&why));
    strbuf_free(&why);
}

static int prepare(struct param *param, size_t index, const struct conf_check *check)
{
    struct strbuf why = {0};
    int r = 0;

    check_foreign(param, index, check);
    if (param->type == PARAM_STRING && param->max_length == OPTION_WORD)
        param->max_length = DEFAULT_MAX_LENGTH;
    read_bounds(param, index, check);
    if (param->type == PARAM_ENUM && !param->values.count)
        param_fault(check, index, "values", "missing; allowed: the texts that it may be");
    if (param->pattern)
        r = param_pattern_compile(param, &why);
    if (r == -EINVAL)
        param_fault(check, index, "pattern",
                    "found \"%s\": %s; allowed: a POSIX extended regular expression",
                    param->pattern, strbuf_cstr(&why));
    else if (!r)
        check_default(param, index, check);
    if (param->in == PARAM_HEADER || param->in == PARAM_FORM)
        *check->needs |= ACTION_NEEDS_HEADERS;
    if (param->in == PARAM_FORM)
        *check->needs |= ACTION_NEEDS_BODY;
    strbuf_free(&why);
    return r == -ENOMEM ? r : 0;
}

int params_prepare(struct group_list *params, const struct conf_check *check)
{
    int r = 0;

    for (size_t i = 0; i < params->count && !r; i++) {
        struct param *param = option_group_at(&param_group, params, i);

        if (param->name)
            check_name(params, i, check);
        r = prepare(param, i, check);
    }
    return r;
}

void params_release(struct group_list *params)
{
    for (size_t i = 0; i < params->count; i++) {
        struct param *param = option_group_at(&param_group, params, i);

        param_pattern_free(param->compiled);
        param->compiled = NULL;
    }
}

/* ---- options that a parameter gives ---------------------------------------------------------- */

static const struct param *find_bound(const struct number_text *number,
                                      const struct conf_check *check, size_t *index)
{
    static const char prefix[] = "${param.";
    const char *name = number->text + sizeof prefix - 1;
    const struct param *param = NULL;
    char *copy;
    size_t len = strlen(number->text);

    if (strncmp(number->text, prefix, sizeof prefix - 1) || number->text[len - 1] != '}')
        return NULL;
    copy = strndup(name, strlen(name) - 1);
    if (copy)
        param = params_find(check->route, copy, index);
    free(copy);
    return param;
}

void params_bind_duration(struct number_text *number, const struct option_row *row,
                          const struct conf_check *check)
{
    char low[NUM_TEXT_SIZE], high[NUM_TEXT_SIZE];
    const struct param *param;
    size_t index = 0;

    if (!number->text)
        return;
    param = find_bound(number, check, &index);
    format_duration(row->min, low);
    format_duration(row->max, high);
    if (!param || param->type != PARAM_DURATION)
        conf_check_fault(check, row->name,
                         "found \"%s\"; allowed: a duration, or \"${param.NAME}\" with one of the "
                         "route's params that has the type \"duration\"",
                         number->text);
    else if (param->int_min < row->min || param->int_max > row->max)
        conf_check_fault(check, row->name,
                         "found \"%s\", whose bounds are wider; allowed: %s to %s", number->text,
                         low, high);
    number->param = (unsigned)index + 1;
}
