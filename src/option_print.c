#include "option.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void print_number(enum option_type type, int64_t n, struct strbuf *out)
{
    char text[NUM_TEXT_SIZE];

    if (type == OPTION_DURATION)
        format_duration(n, text);
    else if (type == OPTION_SIZE)
        format_size(n, text);
    else if (type == OPTION_MODE)
        snprintf(text, sizeof text, "%04o", (unsigned)n);
    else
        snprintf(text, sizeof text, "%lld", (long long)n);
    strbuf_adds(out, text);
}

static void print_choices(const char *const *choices, struct strbuf *out)
{
    for (size_t i = 0; choices[i]; i++)
        strbuf_addf(out, "%s\"%s\"", !i ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
}

void option_print_allowed(const struct option_row *row, struct strbuf *out)
{
    switch (row->type) {
    case OPTION_BOOL:
        strbuf_adds(out, "true or false");
        break;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        print_number(row->type, row->min, out);
        strbuf_adds(out, " to ");
        print_number(row->type, row->max, out);
        if (row->choices) {
            strbuf_adds(out, " or ");
            print_choices(row->choices, out);
        }
        if (row->flags & OPTION_TEMPLATE)
            strbuf_adds(out, " or \"${param.NAME}\"");
        break;
    case OPTION_MODE:
        strbuf_adds(out, "an octal mode from \"0000\" to \"0777\"");
        break;
    case OPTION_ENUM:
        print_choices(row->choices, out);
        break;
    case OPTION_STRING:
        strbuf_addf(out, "a string of %lld to %lld bytes", (long long)row->min,
                    (long long)(row->max ? row->max : OPTION_MAX_TEXT));
        break;
    case OPTION_STRINGS:
        strbuf_adds(out, "a string or a list of strings");
        if (row->choices) {
            strbuf_adds(out, " from ");
            print_choices(row->choices, out);
        }
        break;
    case OPTION_PAIRS:
        strbuf_adds(out, "{ name = \"value\"; } or a list of \"Name: value\"");
        break;
    case OPTION_SCALAR:
        strbuf_adds(out, "a number, true, false or a string");
        break;
    case OPTION_GROUPS:
        strbuf_adds(out, "a list of groups, ( { ... }, { ... } )");
        break;
    }
}

void value_print(const struct value *value, struct strbuf *out)
{
    switch (value->kind) {
    case VALUE_INT:
        strbuf_addf(out, "%lld", (long long)value->i);
        break;
    case VALUE_FLOAT:
        strbuf_addf(out, "%g", value->f);
        break;
    case VALUE_BOOL:
        strbuf_adds(out, value->b ? "true" : "false");
        break;
    case VALUE_STRING:
        if (strlen(value->s) > 80)
            strbuf_addf(out, "a string of %zu bytes", strlen(value->s));
        else
            strbuf_add_quoted(out, value->s);
        break;
    case VALUE_LIST:
        strbuf_adds(out, "a list");
        break;
    case VALUE_GROUP:
        strbuf_adds(out, "a group");
        break;
    }
}

static void print_strings(const struct string_list *list, struct strbuf *out)
{
    strbuf_adds(out, "( ");
    for (size_t i = 0; i < list->count; i++) {
        strbuf_adds(out, i ? ", " : "");
        strbuf_add_quoted(out, list->items[i]);
    }
    strbuf_adds(out, " )");
}

/* Whether a value of this name is likely to be a secret. */
static bool names_secret(const char *name)
{
    static const char *const parts[] = {"secret",     "token",  "passw",         "passphrase",
                                        "credential", "cookie", "authorization", "_pwd",
                                        "private",    NULL};
    size_t len = strlen(name);

    for (size_t i = 0; parts[i]; i++)
        if (strcasestr(name, parts[i]))
            return true;
    return len >= 3 && !strcasecmp(name + len - 3, "key");
}

/* One template variable and nothing else: it comes with the request, not from the configuration. */
static bool is_variable(const char *value)
{
    const char *end = strchr(value, '}');

    return !strncmp(value, "${", 2) && end && !end[1];
}

static void print_pairs(const struct pair_list *list, bool masked, struct strbuf *out)
{
    strbuf_adds(out, "( ");
    for (size_t i = 0; i < list->count; i++) {
        const struct pair *pair = &list->items[i];
        bool hidden = masked && names_secret(pair->name) && !is_variable(pair->value);
        struct strbuf line = {0};

        strbuf_addf(&line, "%s: %s", pair->name, hidden ? "***" : pair->value);
        strbuf_adds(out, i ? ", " : "");
        strbuf_add_quoted(out, strbuf_cstr(&line));
        strbuf_free(&line);
    }
    strbuf_adds(out, " )");
}

static void print_groups(const struct option_group *group, const struct group_list *list,
                         struct strbuf *out)
{
    strbuf_adds(out, "( ");
    for (size_t i = 0; i < list->count; i++) {
        strbuf_adds(out, i ? ", { " : "{ ");
        for (const struct option_row *row = group->rows; row->name; row++)
            if (option_is_set(row, option_group_at(group, list, i))) {
                strbuf_addf(out, "%s = ", row->name);
                option_print(row, option_group_at(group, list, i), out);
                strbuf_adds(out, "; ");
            }
        strbuf_adds(out, "}");
    }
    strbuf_adds(out, " )");
}

void option_print(const struct option_row *row, const void *settings, struct strbuf *out)
{
    const void *at = (const char *)settings + row->offset;
    const int64_t *n = at;
    const char *quote = row->type == OPTION_INT ? "" : "\"";

    switch (row->type) {
    case OPTION_BOOL:
        strbuf_adds(out, *(const bool *)at ? "true" : "false");
        break;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_MODE:
        if (option_number_text(row, settings)) {
            strbuf_add_quoted(out, option_number_text(row, settings));
            break;
        }
        if (row->choices && *n == OPTION_WORD) {
            strbuf_add_quoted(out, row->choices[0]);
            break;
        }
        strbuf_adds(out, quote);
        print_number(row->type, *n, out);
        strbuf_adds(out, quote);
        break;
    case OPTION_STRING:
    case OPTION_SCALAR:
        strbuf_add_quoted(out, *(char *const *)at ? *(char *const *)at : "");
        break;
    case OPTION_ENUM:
        strbuf_add_quoted(out, row->choices[*n]);
        break;
    case OPTION_STRINGS:
        print_strings(at, out);
        break;
    case OPTION_PAIRS:
        print_pairs(at, false, out);
        break;
    case OPTION_GROUPS:
        print_groups(row->group, at, out);
        break;
    }
}

void option_print_masked(const struct option_row *row, const void *settings, struct strbuf *out)
{
    if (row->flags & OPTION_SECRETS)
        print_pairs((const void *)((const char *)settings + row->offset), true, out);
    else
        option_print(row, settings, out);
}
