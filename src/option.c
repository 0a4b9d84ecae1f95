#include "option.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void *option_group_at(const struct option_group *group, const struct group_list *list, size_t i)
{
    return (char *)list->items + i * group->size;
}

const char *option_number_text(const struct option_row *row, const void *settings)
{
    return row->type == OPTION_DURATION && (row->flags & OPTION_TEMPLATE)
               ? ((const struct number_text *)const_place(row, settings))->text
               : NULL;
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

/* A duration that a parameter of the request gives. */
static int set_number_text(const struct option_row *row, struct number_text *at,
                           const struct value *value, struct strbuf *why)
{
    char *text = NULL;

    if (value->kind == VALUE_STRING && strstr(value->s, "${")) {
        text = strdup(value->s);
        if (!text)
            return -ENOMEM;
    } else {
        int r = set_number(row, &at->value, value, why);

        if (r)
            return r;
    }
    free(at->text);
    at->text = text;
    return 0;
}

static int set_string(const struct option_row *row, char **at, const struct value *value,
                      struct strbuf *why)
{
    size_t max = row->max ? (size_t)row->max : OPTION_MAX_TEXT;
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

/* The least of digits that reads as the same number again. */
static void print_float(double number, char text[NUM_TEXT_SIZE])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, NUM_TEXT_SIZE, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
}

static int set_scalar(const struct option_row *row, char **at, const struct value *value,
                      struct strbuf *why)
{
    char number[NUM_TEXT_SIZE];
    struct value text = {.kind = VALUE_STRING, .s = number};

    if (value->kind == VALUE_INT)
        snprintf(number, sizeof number, "%lld", (long long)value->i);
    else if (value->kind == VALUE_FLOAT)
        print_float(value->f, number);
    else if (value->kind == VALUE_BOOL)
        text.s = value->b ? "true" : "false";
    else
        text = *value;
    return set_string(row, at, &text, why);
}

void *option_add_group(const struct option_group *group, struct group_list *list)
{
    char *items = reallocarray(list->items, list->count + 1, group->size);

    if (!items)
        return NULL;
    list->items = items;
    memset(items + list->count * group->size, 0, group->size);
    return items + list->count++ * group->size;
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
        if (row->type == OPTION_DURATION && (row->flags & OPTION_TEMPLATE))
            return set_number_text(row, at, value, why);
        return set_number(row, at, value, why);
    case OPTION_STRING:
        return set_string(row, at, value, why);
    case OPTION_ENUM:
        return set_enum(row, at, value, why);
    case OPTION_STRINGS:
        return set_strings(row, at, value, why);
    case OPTION_PAIRS:
        return set_pairs(row, at, value, why);
    case OPTION_SCALAR:
        return set_scalar(row, at, value, why);
    case OPTION_GROUPS:
        break; /* whoever reads the file reads each group by its own rows */
    }
    return refuse(row, value, why);
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

static void clear_groups(const struct option_group *group, struct group_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        option_clear_all(group->rows, option_group_at(group, list, i));
    free(list->items);
    *list = (struct group_list){0};
}

static void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

void option_clear_all(const struct option_row *table, void *settings)
{
    for (; table && table->name; table++) {
        void *at = place(table, settings);

        if (table->type == OPTION_STRING || table->type == OPTION_SCALAR)
            free_text(at);
        else if (table->type == OPTION_STRINGS)
            free_strings(at);
        else if (table->type == OPTION_PAIRS)
            free_pairs(at);
        else if (table->type == OPTION_GROUPS)
            clear_groups(table->group, at);
        else if (option_number_text(table, settings))
            free_text(&((struct number_text *)at)->text);
    }
}

bool option_is_set(const struct option_row *row, const void *settings)
{
    const void *at = const_place(row, settings);

    switch (row->type) {
    case OPTION_STRING:
    case OPTION_SCALAR:
        return *(char *const *)at;
    case OPTION_STRINGS:
        return ((const struct string_list *)at)->count;
    case OPTION_PAIRS:
        return ((const struct pair_list *)at)->count;
    case OPTION_GROUPS:
        return ((const struct group_list *)at)->count;
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
