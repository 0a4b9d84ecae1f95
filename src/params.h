/* params.h - the parameters that a route declares: where in a request each stands, its type and its
 * bounds.  The values of a request are read before its action runs (admit.h); whoever owns the request
 * may look at them then. */
#ifndef HANDOFFD_PARAMS_H
#define HANDOFFD_PARAMS_H

#include "conf.h"
#include "request.h"

#include <jansson.h>

enum param_place { PARAM_PATH, PARAM_QUERY, PARAM_HEADER, PARAM_FORM };

enum param_type {
    PARAM_STRING,
    PARAM_INT,
    PARAM_NUMBER,
    PARAM_BOOL,
    PARAM_DURATION,
    PARAM_ENUM,
};

struct param_value {
    const char *text; /* NUL-terminated, with no other NUL */
    int64_t integer;  /* PARAM_INT; PARAM_DURATION in ns; PARAM_BOOL as 0 or 1 */
    double number;    /* PARAM_NUMBER */
};

/* A declared parameter, the settings struct of a group of `params`. */
struct param {
    char *name;
    int64_t in;   /* enum param_place */
    int64_t type; /* enum param_type */
    char *fallback;
    char *min, *max;
    char *pattern;
    int64_t max_length; /* of a string; OPTION_WORD: it is none */
    struct string_list values;
    /* Derived: */
    struct param_pattern *compiled;
    int64_t int_min, int_max;
    double number_min, number_max;
    struct param_value fallback_value; /* when `fallback` is set */
};

extern const struct option_group param_group;

/* At load: checks the declarations of a route and makes them ready.  0 or -ENOMEM. */
int params_prepare(struct group_list *params, const struct conf_check *check) WARN_UNUSED;

/* Whether any of them stands in a form. */
bool params_have_form(const struct conf_route *route);

/* Frees what params_prepare made. */
void params_release(struct group_list *params);

/* The declared parameter of that name; NULL: none.  `*index` counts from 0. */
const struct param *params_find(const struct conf_route *route, const char *name, size_t *index);

/* At load, for a duration that a template may give: the template must be one parameter of that type
 * whose bounds lie within the option's. */
void params_bind_duration(struct number_text *number, const struct option_row *row,
                          const struct conf_check *check);

/* The duration of an option that has been bound. */
int64_t params_duration(const struct request *request, const struct number_text *number);

/* Reads every declared parameter into request->params.  0; -EINVAL with a new list of all faults,
 * objects of `in`, `name` and `detail`, in `*faults`; -ENOMEM. */
int params_read(struct request *request, json_t **faults) WARN_UNUSED;

/* A value as JSON: of its type where JSON has it, else as text.  A new reference or NULL. */
json_t *params_json(const struct param *param, const struct param_value *value);

/* The value of a request's header field, several of one name joined; NULL: it has none (or, with
 * `*out_of_memory` set, no memory is left). */
const char *params_header(struct request *request, const char *name, bool *out_of_memory);

#endif
