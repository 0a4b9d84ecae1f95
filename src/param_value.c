#include "param_value.h"

#include "clock.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

const char *const param_places[] = {"path", "query", "header", "form", NULL};
const char *const param_types[] = {"string", "int", "number", "bool", "duration", "enum", NULL};

struct param_pattern {
    regex_t regex;
};

/* References back take time that grows without bound with the text. */
static bool refers_back(const char *pattern)
{
    for (const char *p = strchr(pattern, '\\'); p && p[1]; p = strchr(p + 2, '\\'))
        if (p[1] >= '1' && p[1] <= '9')
            return true;
    return false;
}

int param_pattern_compile(struct param *param, struct strbuf *why)
{
    struct param_pattern *pattern = malloc(sizeof *pattern);
    struct strbuf whole = {0};
    char message[128];
    int r;

    if (!pattern)
        return -ENOMEM;
    if (refers_back(param->pattern)) {
        strbuf_adds(why, "references back such as \\1 are not supported");
        free(pattern);
        return -EINVAL;
    }
    strbuf_addf(&whole, "^(%s)$", param->pattern);
    r = whole.failed ? REG_ESPACE
                     : regcomp(&pattern->regex, strbuf_cstr(&whole), REG_EXTENDED | REG_NOSUB);
    strbuf_free(&whole);
    if (!r) {
        param->compiled = pattern;
        return 0;
    }
    if (r != REG_ESPACE) {
        regerror(r, &pattern->regex, message, sizeof message);
        strbuf_adds(why, message);
    }
    free(pattern);
    return r == REG_ESPACE ? -ENOMEM : -EINVAL;
}

void param_pattern_free(struct param_pattern *pattern)
{
    if (!pattern)
        return;
    regfree(&pattern->regex);
    free(pattern);
}

int param_parse_int(enum param_type type, const char *text, int64_t *out)
{
    return type == PARAM_DURATION ? parse_duration(text, out) : parse_i64(text, out);
}

int param_parse_number(const char *text, double *out)
{
    char *end;

    /* strtod(3) also takes blanks, "inf", "nan" and hexadecimal digits. */
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return -EINVAL;
    *out = strtod(text, &end);
    if (*end)
        return -EINVAL;
    return isfinite(*out) ? 0 : -ERANGE;
}

/* ---- what is allowed ------------------------------------------------------------------------- */

static void add_int(const struct param *param, int64_t n, struct strbuf *out)
{
    char text[NUM_TEXT_SIZE];

    if (param->type == PARAM_DURATION) {
        format_duration(n, text);
        strbuf_adds(out, text);
    } else {
        strbuf_addf(out, "%lld", (long long)n);
    }
}

static void print_int_bounds(const struct param *param, struct strbuf *out)
{
    strbuf_adds(out, param->type == PARAM_DURATION ? "a duration" : "a whole number");
    if (param->min || param->type == PARAM_DURATION) {
        strbuf_adds(out, param->max || param->type == PARAM_DURATION ? " from " : " of at least ");
        add_int(param, param->int_min, out);
    }
    if (param->max || param->type == PARAM_DURATION) {
        strbuf_adds(out, param->min || param->type == PARAM_DURATION ? " to " : " of at most ");
        add_int(param, param->int_max, out);
    }
}

static void print_number_bounds(const struct param *param, struct strbuf *out)
{
    strbuf_adds(out, "a number");
    if (param->min && param->max)
        strbuf_addf(out, " from %s to %s", param->min, param->max);
    else if (param->min)
        strbuf_addf(out, " of at least %s", param->min);
    else if (param->max)
        strbuf_addf(out, " of at most %s", param->max);
}

static void print_allowed(const struct param *param, struct strbuf *out)
{
    switch ((enum param_type)param->type) {
    case PARAM_STRING:
        strbuf_addf(out, "at most %lld bytes", (long long)param->max_length);
        if (param->pattern)
            strbuf_addf(out, " that match %s", param->pattern);
        break;
    case PARAM_INT:
    case PARAM_DURATION:
        print_int_bounds(param, out);
        break;
    case PARAM_NUMBER:
        print_number_bounds(param, out);
        break;
    case PARAM_BOOL:
        strbuf_adds(out, "true or false");
        break;
    case PARAM_ENUM:
        for (size_t i = 0; i < param->values.count; i++) {
            const char *between = i + 1 < param->values.count ? ", " : " or ";

            strbuf_adds(out, i ? between : "");
            strbuf_add_quoted(out, param->values.items[i]);
        }
        break;
    }
}

/* ---- parsing --------------------------------------------------------------------------------- */

static bool parse_bool(const char *text, struct param_value *out)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (int value = 0; value < 2; value++)
            if (!strcmp(text, words[i][value])) {
                out->integer = value;
                out->text = words[0][value];
                return true;
            }
    return false;
}

static bool parse_string(const struct param *param, const char *text, size_t len)
{
    return (int64_t)len <= param->max_length &&
           (!param->compiled || regexec(&param->compiled->regex, text, 0, NULL, 0) == 0);
}

static bool is_listed(const struct string_list *values, const char *text)
{
    for (size_t i = 0; i < values->count; i++)
        if (!strcmp(values->items[i], text))
            return true;
    return false;
}

static bool fits(const struct param *param, const char *text, size_t len, struct param_value *out)
{
    switch ((enum param_type)param->type) {
    case PARAM_STRING:
        return parse_string(param, text, len);
    case PARAM_INT:
    case PARAM_DURATION:
        return !param_parse_int((enum param_type)param->type, text, &out->integer) &&
               out->integer >= param->int_min && out->integer <= param->int_max;
    case PARAM_NUMBER:
        return !param_parse_number(text, &out->number) && out->number >= param->number_min &&
               out->number <= param->number_max;
    case PARAM_BOOL:
        return parse_bool(text, out);
    case PARAM_ENUM:
        return is_listed(&param->values, text);
    }
    return false;
}

bool param_parse(const struct param *param, const char *text, size_t len, struct param_value *out,
                 struct strbuf *why)
{
    const struct value found = {.kind = VALUE_STRING, .s = text};
    bool has_nul = strlen(text) != len;

    *out = (struct param_value){.text = text};
    if (!has_nul && fits(param, text, len, out))
        return true;
    strbuf_adds(why, "found ");
    if (has_nul)
        strbuf_adds(why, "a NUL byte");
    else
        value_print(&found, why);
    strbuf_adds(why, "; allowed: ");
    print_allowed(param, why);
    return false;
}
