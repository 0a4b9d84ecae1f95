/* echo: the request back as JSON. */
#include "action.h"
#include "json_text.h"
#include "params.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The name under which a field of this name, in whatever case, stands already; else its own. */
static const char *known_name(json_t *fields, const char *name)
{
    const char *known;
    json_t *value;

    json_object_foreach(fields, known, value) if (!strcasecmp(known, name)) return known;
    return name;
}

/* Fields of one name become one, as RFC 9110, 5.3 combines them. */
static int add_field(json_t *fields, const struct header *header)
{
    const char *name = known_name(fields, header->name);
    const json_t *before = json_object_get(fields, name);
    struct strbuf joined = {0};
    int r;

    if (before)
        strbuf_addf(&joined, "%s, ", json_string_value(before));
    strbuf_adds(&joined, header->value);
    r = json_object_set_new(fields, name, json_text_of(&joined));
    strbuf_free(&joined);
    return r;
}

static json_t *fields_of(const struct request *request)
{
    json_t *fields = json_object();

    for (size_t i = 0; fields && i < request->n_headers; i++)
        if (json_text_is_utf8(request->headers[i].name, strlen(request->headers[i].name)) &&
            add_field(fields, &request->headers[i])) {
            json_decref(fields);
            fields = NULL;
        }
    return fields;
}

static json_t *params_of(const struct request *request)
{
    json_t *params = json_object();

    for (size_t i = 0; params && i < request->match.n_params; i++) {
        const struct route_param *param = &request->match.params[i];

        json_object_set_new(params, param->name, json_text(param->value, param->len));
    }
    for (size_t i = 0; params && i < request->route->params.count; i++) {
        const struct param *param = option_group_at(&param_group, &request->route->params, i);

        json_object_set_new(params, param->name, params_json(param, &request->params[i]));
    }
    return params;
}

static int run(struct request *request, const void *settings)
{
    const struct slice *body = &request->body;
    bool text = json_text_is_utf8(body->data, body->len);
    json_t *document =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "method", request->method_name, "path",
                  json_text(request->path.data, request->path.len), "query",
                  json_text(request->query.data, request->query.len), "headers", fields_of(request),
                  "params", params_of(request), "body",
                  text ? json_text(body->data, body->len) : json_text_base64(body->data, body->len),
                  "peer", request->peer);

    (void)settings;
    if (document && !text)
        json_object_set_new(document, "body_encoding", json_string("base64"));
    return json_text_respond(request, 200, "application/json", document);
}

const struct action action_echo = {
    .conf = {.name = "echo", .methods = action_methods_any, .doc = "The request as JSON."},
    .needs = ACTION_NEEDS_HEADERS | ACTION_NEEDS_BODY,
    .run = run,
};
