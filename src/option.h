/* option.h - one row per configuration option; everything that reads, checks, prints, compares or
 * documents an option goes by its row.
 *
 * A row says where in a settings struct the value lives (`offset`) and, by its type, as what:
 *   OPTION_BOOL      bool
 *   OPTION_INT       int64_t (a row with `choices` also takes that word and stores OPTION_WORD)
 *   OPTION_DURATION  int64_t, nanoseconds
 *   OPTION_SIZE      int64_t, bytes
 *   OPTION_MODE      int64_t, a file mode
 *   OPTION_STRING    char *, owned by the settings struct; NULL when not set
 *   OPTION_ENUM      int64_t, index into `choices`
 *   OPTION_STRINGS   struct string_list
 *   OPTION_PAIRS     struct pair_list (names and values)
 *   OPTION_SCALAR    char *: a number, a boolean or a text whose type another option tells, as text
 *   OPTION_GROUPS    struct group_list: groups with rows of their own (`group`)
 * An OPTION_DURATION with OPTION_TEMPLATE is a struct number_text.
 * Settings structs belong to one thread until the configuration that holds them is published; from
 * then on they are read only. */
#ifndef HANDOFFD_OPTION_H
#define HANDOFFD_OPTION_H

#include "parse_num.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_DURATION,
    OPTION_SIZE,
    OPTION_MODE,
    OPTION_STRING,
    OPTION_ENUM,
    OPTION_STRINGS,
    OPTION_PAIRS,
    OPTION_SCALAR,
    OPTION_GROUPS,
};

enum option_flag {
    OPTION_REQUIRED = 1 << 0, /* has no default and must be written */
    OPTION_RESTART = 1 << 1,  /* a reload keeps the old value and says so */
    OPTION_BLOCKING = 1 << 2, /* of a route: only where its action is a blocking one */
    OPTION_INHERIT = 1 << 3,  /* a number that is OPTION_WORD when not written */
    OPTION_TEMPLATE = 1 << 4, /* texts are expanded for each request, template.h */
    OPTION_SECRETS = 1 << 5,  /* pairs of which some are secrets, as their names tell */
};

enum { OPTION_WORD = -1, OPTION_MAX_TEXT = 4096 };

struct option_row {
    const char *name;
    enum option_type type;
    size_t offset;
    const char *fallback; /* the default, as it would be written; NULL: none */
    int64_t min, max; /* bounds of numbers; longest text of strings (max, 0 = OPTION_MAX_TEXT) */
    const char *const *choices;
    unsigned flags;
    const char *unit; /* of a bare number, for the documentation */
    const char *doc;
    const struct option_group *group; /* OPTION_GROUPS */
};

/* What each group of an OPTION_GROUPS holds. */
struct option_group {
    const struct option_row *rows;
    size_t size; /* of the settings struct of one group */
};

struct string_list {
    char **items;
    size_t count;
};

struct pair {
    char *name;
    char *value;
};

struct pair_list {
    struct pair *items;
    size_t count;
};

struct group_list {
    void *items; /* settings structs, one behind the other */
    size_t count;
};

/* A number, or the text of the template that gives it for each request. */
struct number_text {
    int64_t value;
    char *text;     /* NULL: `value` counts */
    unsigned param; /* derived: which parameter, from 1; params.h */
};

/* A value as it was found, before it is known to fit an option. */
enum value_kind { VALUE_INT, VALUE_FLOAT, VALUE_BOOL, VALUE_STRING, VALUE_LIST, VALUE_GROUP };

struct value {
    enum value_kind kind;
    int64_t i;
    double f;
    bool b;
    const char *s;       /* VALUE_STRING; in a group or list: the items below */
    struct value *items; /* VALUE_LIST and VALUE_GROUP */
    const char **names;  /* VALUE_GROUP */
    size_t count;
};

/* The row of that name in a table that ends with a row without a name; NULL: none. */
const struct option_row *option_find(const struct option_row *table, const char *name);

/* Stores `value` at its place in `settings` (replacing what stood there).  0; -EINVAL with the reason
 * appended to `why` ("found ...; allowed: ..."); or -ENOMEM. */
int option_set(const struct option_row *row, void *settings, const struct value *value,
               struct strbuf *why) WARN_UNUSED;

/* Stores the row's default.  0 or -ENOMEM.  A default that does not fit its own row aborts. */
int option_set_default(const struct option_row *row, void *settings) WARN_UNUSED;
int option_set_defaults(const struct option_row *table, void *settings) WARN_UNUSED;

/* Adds a zeroed settings struct at the end of a list of groups; NULL: out of memory. */
void *option_add_group(const struct option_group *group, struct group_list *list);

/* The settings struct of one group of a list. */
void *option_group_at(const struct option_group *group, const struct group_list *list, size_t i);

/* The template that stands in place of a number; NULL: none does. */
const char *option_number_text(const struct option_row *row, const void *settings);

/* Frees the strings and lists that the rows of a table own. */
void option_clear_all(const struct option_row *table, void *settings);

/* Whether an optional string or list is set at all. */
bool option_is_set(const struct option_row *row, const void *settings);
bool option_equal(const struct option_row *row, const void *a, const void *b);

/* The value as the configuration file would have it. */
void option_print(const struct option_row *row, const void *settings, struct strbuf *out);

/* The same for the eyes of others: secrets are masked, in a form that is no other kind of value. */
void option_print_masked(const struct option_row *row, const void *settings, struct strbuf *out);

/* What the row allows: `1 to 4096 or "auto"`, `"eager" or "on-demand"`, `a string` ... */
void option_print_allowed(const struct option_row *row, struct strbuf *out);

/* The value as a message names it: `"fast"`, `7`, `a list` ... */
void value_print(const struct value *value, struct strbuf *out);

#endif
