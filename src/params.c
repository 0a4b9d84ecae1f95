/* DESIGN
 *
 * params_declare.c checks the declarations and compiles what they need; this file reads a request by
 * them.  Both take a value through param_parse, so that a default is judged like a client's text. */
#include "params.h"

#include "clock.h"
#include "form.h"
#include "json_text.h"
#include "param_value.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

const struct param *params_find(const struct conf_route *route, const char *name, size_t *index)
{
    for (size_t i = 0; i < route->params.count; i++) {
        const struct param *param = option_group_at(&param_group, &route->params, i);

        if (param->name && !strcmp(param->name, name)) {
            *index = i;
            return param;
        }
    }
    return NULL;
}

bool params_have_form(const struct conf_route *route)
{
    for (size_t i = 0; i < route->params.count; i++) {
        const struct param *param = option_group_at(&param_group, &route->params, i);

        if (param->in == PARAM_FORM)
            return true;
    }
    return false;
}

const char *params_header(struct request *request, const char *name, bool *out_of_memory)
{
    const char *found = NULL;
    size_t len = 0, count = 0;
    char *joined, *at;

    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, name)) {
            found = request->headers[i].value;
            len += strlen(found) + 2;
            count++;
        }
    if (count < 2)
        return found;
    at = joined = arena_alloc(&request->arena, len);
    if (!joined) {
        *out_of_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, name)) {
            if (at > joined)
                at = stpcpy(at, ", ");
            at = stpcpy(at, request->headers[i].value);
        }
    return joined;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    struct request *request;
    json_t *faults; /* NULL: none yet */
    bool out_of_memory;
    struct form_fields query;
    struct form_fields form;
    bool query_read, form_read;
    const char *no_form; /* why the body is none */
};

static void add_fault(struct reader *r, enum param_place in, const char *name, const char *detail)
{
    json_t *fault =
        json_pack("{s:s, s:o, s:o}", "in", param_places[in], "name", json_text(name, strlen(name)),
                  "detail", json_text(detail, strlen(detail)));

    if (!r->faults)
        r->faults = json_array();
    /* It gives `fault` back even if there is no list. */
    if (json_array_append_new(r->faults, fault))
        r->out_of_memory = true;
}

/* A list of fields that cannot be read is one fault, whatever parameters it was to hold. */
static void note_result(struct reader *r, int result, enum param_place in, const char *why)
{
    if (result == -EINVAL)
        add_fault(r, in, "", why);
    else if (result)
        r->out_of_memory = true;
}

static const struct form_fields *query_of(struct reader *r)
{
    struct request *request = r->request;
    const char *why = "";

    if (!r->query_read)
        note_result(r,
                    form_read_urlencoded(&r->query, request->query.data, request->query.len,
                                         &request->arena, &why),
                    PARAM_QUERY, why);
    r->query_read = true;
    return &r->query;
}

static const struct form_fields *form_of(struct reader *r)
{
    struct request *request = r->request;
    const struct slice *body = &request->body;
    const char *type = params_header(request, "Content-Type", &r->out_of_memory);
    const char *why = "";
    int result = 0;

    if (r->form_read)
        return &r->form;
    r->form_read = true;
    if (type && form_is_media_type(type, "application/x-www-form-urlencoded"))
        result = form_read_urlencoded(&r->form, body->data, body->len, &request->arena, &why);
    else if (type && form_is_media_type(type, "multipart/form-data"))
        result = form_read_multipart(&r->form, type, body->data, body->len, &request->arena, &why);
    else if (body->len)
        r->no_form = "missing; the body is no form: allowed as Content-Type are "
                     "application/x-www-form-urlencoded and multipart/form-data";
    note_result(r, result, PARAM_FORM, why);
    return &r->form;
}

static bool take_field(struct reader *r, const struct param *param,
                       const struct form_fields *fields, struct slice *value)
{
    const struct form_field *field = form_find(fields, param->name);
    const struct form_field *end = fields->items + fields->count;
    struct form_fields behind;

    if (!field)
        return false;
    behind = (struct form_fields){.items = fields->items + (field - fields->items) + 1,
                                  .count = (size_t)(end - field) - 1};
    *value = field->value;
    if (form_find(&behind, param->name))
        add_fault(r, (enum param_place)param->in, param->name,
                  "found more than once; allowed: one value");
    return true;
}

/* The parameter's text where it stands in the request.  false: it is not there. */
static bool take(struct reader *r, const struct param *param, struct slice *value)
{
    const struct route_match *match = &r->request->match;
    const char *header;

    switch ((enum param_place)param->in) {
    case PARAM_PATH:
        for (size_t i = 0; i < match->n_params; i++)
            if (!strcmp(match->params[i].name, param->name)) {
                *value = (struct slice){match->params[i].value, match->params[i].len};
                return true;
            }
        return false;
    case PARAM_QUERY:
        return take_field(r, param, query_of(r), value);
    case PARAM_FORM:
        return take_field(r, param, form_of(r), value);
    case PARAM_HEADER:
        break;
    }
    header = params_header(r->request, param->name, &r->out_of_memory);
    if (header)
        *value = (struct slice){header, strlen(header)};
    return header != NULL;
}

static void read_one(struct reader *r, const struct param *param, struct param_value *out)
{
    struct strbuf why = {0};
    struct slice value;
    char *copy;

    if (!take(r, param, &value)) {
        if (param->fallback)
            *out = param->fallback_value;
        else
            add_fault(r, (enum param_place)param->in, param->name,
                      param->in == PARAM_FORM && r->no_form ? r->no_form : "missing");
        return;
    }
    copy = arena_strndup(&r->request->arena, value.data, value.len);
    if (copy && !param_parse(param, copy, value.len, out, &why))
        add_fault(r, (enum param_place)param->in, param->name, strbuf_cstr(&why));
    if (!copy || why.failed)
        r->out_of_memory = true;
    strbuf_free(&why);
}

int params_read(struct request *request, json_t **faults)
{
    const struct group_list *params = &request->route->params;
    struct reader r = {.request = request};
    struct param_value *values = arena_alloc(&request->arena, (params->count + 1) * sizeof *values);

    *faults = NULL;
    if (!values)
        return -ENOMEM;
    memset(values, 0, (params->count + 1) * sizeof *values);
    for (size_t i = 0; i < params->count; i++)
        read_one(&r, option_group_at(&param_group, params, i), &values[i]);
    if (r.out_of_memory) {
        json_decref(r.faults);
        return -ENOMEM;
    }
    request->params = values;
    *faults = r.faults;
    return r.faults ? -EINVAL : 0;
}

int64_t params_duration(const struct request *request, const struct number_text *number)
{
    return number->text ? request->params[number->param - 1].integer : number->value;
}

json_t *params_json(const struct param *param, const struct param_value *value)
{
    switch ((enum param_type)param->type) {
    case PARAM_INT:
        return json_integer(value->integer);
    case PARAM_NUMBER:
        return json_real(value->number);
    case PARAM_BOOL:
        return json_boolean(value->integer != 0);
    default:
        return json_text(value->text, strlen(value->text));
    }
}
