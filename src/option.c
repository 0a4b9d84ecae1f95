#include "option.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAX_TEXT = 4096 };

static void *place(const struct option_row *row, void *settings)
{
    return (char *)settings + row->offset;
}

static const void *const_place(const struct option_row *row, const void *settings)
{
    return (const char *)settings + row->offset;
}

const struct option_row *option_find(const struct option_row *table, const char *name)
{
    for (; table && table->name; table++)
        if (!strcmp(table->name, name))
            return table;
    return NULL;
}

/* ---- printing ------------------------------------------------------------------------------- */

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
        break;
    case OPTION_MODE:
        strbuf_adds(out, "an octal mode from \"0000\" to \"0777\"");
        break;
    case OPTION_ENUM:
        print_choices(row->choices, out);
        break;
    case OPTION_STRING:
        strbuf_addf(out, "a string of %lld to %lld bytes", (long long)row->min,
                    (long long)(row->max ? row->max : DEFAULT_MAX_TEXT));
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

void option_print(const struct option_row *row, const void *settings, struct strbuf *out)
{
    const void *at = const_place(row, settings);
    const struct string_list *strings = at;
    const struct pair_list *pairs = at;
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
        if (row->choices && *n == OPTION_WORD) {
            strbuf_add_quoted(out, row->choices[0]);
            break;
        }
        strbuf_adds(out, quote);
        print_number(row->type, *n, out);
        strbuf_adds(out, quote);
        break;
    case OPTION_STRING:
        strbuf_add_quoted(out, *(char *const *)at ? *(char *const *)at : "");
        break;
    case OPTION_ENUM:
        strbuf_add_quoted(out, row->choices[*n]);
        break;
    case OPTION_STRINGS:
        strbuf_adds(out, "( ");
        for (size_t i = 0; i < strings->count; i++) {
            strbuf_adds(out, i ? ", " : "");
            strbuf_add_quoted(out, strings->items[i]);
        }
        strbuf_adds(out, " )");
        break;
    case OPTION_PAIRS:
        strbuf_adds(out, "( ");
        for (size_t i = 0; i < pairs->count; i++) {
            struct strbuf line = {0};

            strbuf_addf(&line, "%s: %s", pairs->items[i].name, pairs->items[i].value);
            strbuf_adds(out, i ? ", " : "");
            strbuf_add_quoted(out, strbuf_cstr(&line));
            strbuf_free(&line);
        }
        strbuf_adds(out, " )");
        break;
    }
}

/* ---- storing -------------------------------------------------------------------------------- */

static int refuse(const struct option_row *row, const struct value *value, struct strbuf *why)
{
    strbuf_adds(why, "found ");
    value_print(value, why);
    strbuf_adds(why, "; allowed: ");
    option_print_allowed(row, why);
    return -EINVAL;
}

static void free_strings(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

static void free_pairs(struct pair_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].value);
    }
    free(list->items);
    *list = (struct pair_list){0};
}

static int number_from_text(enum option_type type, const char *text, int64_t *out)
{
    switch (type) {
    case OPTION_DURATION:
        return parse_duration(text, out);
    case OPTION_SIZE:
        return parse_size(text, out);
    case OPTION_MODE:
        return parse_mode(text, out);
    default:
        return -EINVAL;
    }
}

static int set_number(const struct option_row *row, int64_t *at, const struct value *value,
                      struct strbuf *why)
{
    int64_t n = 0;
    int r = -EINVAL;

    if (value->kind == VALUE_STRING && row->choices && !strcmp(value->s, row->choices[0])) {
        *at = OPTION_WORD;
        return 0;
    }
    if (value->kind == VALUE_STRING)
        r = number_from_text(row->type, value->s, &n);
    else if (row->type == OPTION_DURATION && value->kind == VALUE_INT)
        r = __builtin_mul_overflow(value->i, INT64_C(1000000000), &n) ? -ERANGE : 0;
    else if (row->type == OPTION_DURATION && value->kind == VALUE_FLOAT)
        r = duration_from_seconds(value->f, &n);
    else if (row->type != OPTION_MODE && value->kind == VALUE_INT) {
        n = value->i;
        r = 0;
    }
    if (r || n < row->min || n > row->max)
        return refuse(row, value, why);
    *at = n;
    return 0;
}

static int set_string(const struct option_row *row, char **at, const struct value *value,
                      struct strbuf *why)
{
    size_t max = row->max ? (size_t)row->max : DEFAULT_MAX_TEXT;
    char *copy;

    if (value->kind != VALUE_STRING || strlen(value->s) > max ||
        strlen(value->s) < (size_t)row->min)
        return refuse(row, value, why);
    copy = strdup(value->s);
    if (!copy)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

static int choice_index(const char *const *choices, const char *text)
{
    for (int i = 0; choices[i]; i++)
        if (!strcmp(choices[i], text))
            return i;
    return -1;
}

static void add_nearest_choice(const char *const *choices, const char *text, struct strbuf *why)
{
    struct str_nearest nearest = {.wanted = text};

    for (size_t i = 0; choices[i]; i++)
        str_nearest_try(&nearest, choices[i]);
    if (nearest.best)
        strbuf_addf(why, "; did you mean \"%s\"?", nearest.best);
}

static int set_enum(const struct option_row *row, int64_t *at, const struct value *value,
                    struct strbuf *why)
{
    int index;

    if (value->kind != VALUE_STRING)
        return refuse(row, value, why);
    index = choice_index(row->choices, value->s);
    if (index < 0) {
        refuse(row, value, why);
        add_nearest_choice(row->choices, value->s, why);
        return -EINVAL;
    }
    *at = index;
    return 0;
}

static int set_strings(const struct option_row *row, struct string_list *at,
                       const struct value *value, struct strbuf *why)
{
    const struct value *items = value->kind == VALUE_STRING ? value : value->items;
    size_t count = value->kind == VALUE_STRING ? 1 : value->count;
    struct string_list list = {0};

    if (value->kind != VALUE_STRING && value->kind != VALUE_LIST)
        return refuse(row, value, why);
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != VALUE_STRING || !*items[i].s)
            return refuse(row, &items[i], why);
        if (row->choices && choice_index(row->choices, items[i].s) < 0) {
            refuse(row, &items[i], why);
            add_nearest_choice(row->choices, items[i].s, why);
            return -EINVAL;
        }
    }
    list.items = calloc(count + 1, sizeof *list.items);
    if (!list.items)
        return -ENOMEM;
    for (; list.count < count; list.count++) {
        list.items[list.count] = strdup(items[list.count].s);
        if (!list.items[list.count]) {
            free_strings(&list);
            return -ENOMEM;
        }
    }
    free_strings(at);
    *at = list;
    return 0;
}

/* Splits item i of a group or of a list of "Name: value" into a new pair. */
static int make_pair(const struct value *value, size_t i, struct pair *pair)
{
    const char *text = value->items[i].kind == VALUE_STRING ? value->items[i].s : NULL;
    const char *colon;

    if (!text)
        return -EINVAL;
    if (value->kind == VALUE_GROUP) {
        pair->name = strdup(value->names[i]);
        pair->value = strdup(text);
    } else {
        colon = strchr(text, ':');
        if (!colon || colon == text)
            return -EINVAL;
        pair->name = strndup(text, (size_t)(colon - text));
        colon++;
        pair->value = strdup(colon + strspn(colon, " \t"));
    }
    return pair->name && pair->value ? 0 : -ENOMEM;
}

static int set_pairs(const struct option_row *row, struct pair_list *at, const struct value *value,
                     struct strbuf *why)
{
    struct pair_list list = {0};
    int r = 0;

    if (value->kind != VALUE_GROUP && value->kind != VALUE_LIST)
        return refuse(row, value, why);
    list.items = calloc(value->count + 1, sizeof *list.items);
    if (!list.items)
        return -ENOMEM;
    for (size_t i = 0; i < value->count && !r; i++) {
        r = make_pair(value, i, &list.items[i]);
        list.count = i + 1;
        if (r == -EINVAL)
            refuse(row, &value->items[i], why);
    }
    if (r) {
        free_pairs(&list);
        return r;
    }
    free_pairs(at);
    *at = list;
    return 0;
}

int option_set(const struct option_row *row, void *settings, const struct value *value,
               struct strbuf *why)
{
    void *at = place(row, settings);

    switch (row->type) {
    case OPTION_BOOL:
        if (value->kind != VALUE_BOOL)
            return refuse(row, value, why);
        *(bool *)at = value->b;
        return 0;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_MODE:
        return set_number(row, at, value, why);
    case OPTION_STRING:
        return set_string(row, at, value, why);
    case OPTION_ENUM:
        return set_enum(row, at, value, why);
    case OPTION_STRINGS:
        return set_strings(row, at, value, why);
    case OPTION_PAIRS:
        return set_pairs(row, at, value, why);
    }
    return -EINVAL;
}

static struct value fallback_value(const struct option_row *row)
{
    struct value value = {.kind = VALUE_STRING, .s = row->fallback};

    if (row->type == OPTION_BOOL) {
        value.kind = VALUE_BOOL;
        value.b = !strcmp(row->fallback, "true");
    } else if (row->type == OPTION_INT && !parse_i64(row->fallback, &value.i)) {
        value.kind = VALUE_INT;
    }
    return value;
}

int option_set_default(const struct option_row *row, void *settings)
{
    struct strbuf why = {0};
    struct value value;
    int r;

    if (row->flags & OPTION_INHERIT)
        *(int64_t *)place(row, settings) = OPTION_WORD;
    if (!row->fallback)
        return 0;
    value = fallback_value(row);
    r = option_set(row, settings, &value, &why);
    strbuf_free(&why);
    if (r == -EINVAL)
        abort();
    return r;
}

int option_set_defaults(const struct option_row *table, void *settings)
{
    int r = 0;

    for (; table && table->name && !r; table++)
        r = option_set_default(table, settings);
    return r;
}

void option_clear_all(const struct option_row *table, void *settings)
{
    for (; table && table->name; table++) {
        void *at = place(table, settings);

        if (table->type == OPTION_STRING) {
            free(*(char **)at);
            *(char **)at = NULL;
        } else if (table->type == OPTION_STRINGS) {
            free_strings(at);
        } else if (table->type == OPTION_PAIRS) {
            free_pairs(at);
        }
    }
}

bool option_is_set(const struct option_row *row, const void *settings)
{
    const void *at = const_place(row, settings);

    switch (row->type) {
    case OPTION_STRING:
        return *(char *const *)at;
    case OPTION_STRINGS:
        return ((const struct string_list *)at)->count;
    case OPTION_PAIRS:
        return ((const struct pair_list *)at)->count;
    default:
        return !(row->flags & OPTION_INHERIT) || *(const int64_t *)at != OPTION_WORD;
    }
}

bool option_equal(const struct option_row *row, const void *a, const void *b)
{
    struct strbuf ta = {0}, tb = {0};
    bool equal;

    if (option_is_set(row, a) != option_is_set(row, b))
        return false;
    option_print(row, a, &ta);
    option_print(row, b, &tb);
    equal = !strcmp(strbuf_cstr(&ta), strbuf_cstr(&tb));
    strbuf_free(&ta);
    strbuf_free(&tb);
    return equal;
}
