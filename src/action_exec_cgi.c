/* exec as a CGI server: the meta-variables of RFC 3875, section 4, and the answer of its section 6. */
#include "action_exec.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- meta-variables -------------------------------------------------------------------------- */

struct variables {
    const struct exec_settings *settings;
    struct request *request;
    char **items;
    size_t count;
    bool out_of_memory;
};

enum { FIXED_VARIABLES = 24 };

/* The configuration's own variables win. */
static bool is_configured(const struct exec_settings *s, const char *name)
{
    for (size_t i = 0; i < s->env.count; i++)
        if (!strcmp(s->env.items[i].name, name))
            return true;
    return false;
}

static void add_slice(struct variables *v, const char *name, const char *value, size_t len)
{
    size_t name_len = strlen(name);
    char *text;

    if (is_configured(v->settings, name) || memchr(value, '\0', len))
        return;
    text = arena_alloc(&v->request->arena, name_len + len + 2);
    if (!text) {
        v->out_of_memory = true;
        return;
    }
    v->items[v->count++] = text;
    text = stpcpy(stpcpy(text, name), "=");
    *(char *)mempcpy(text, value, len) = '\0';
}

static void add(struct variables *v, const char *name, const char *value)
{
    add_slice(v, name, value, strlen(value));
}

static const char *header(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, name))
            return request->headers[i].value;
    return NULL;
}

/* The part of the path that names the program, and the part behind it. */
static void add_paths(struct variables *v)
{
    const struct request *request = v->request;
    const struct route_match *match = &request->match;
    const struct slice *path = &request->path;
    size_t info = 0;

    if (match->n_params && !strcmp(match->params[match->n_params - 1].name, "rest"))
        info = match->params[match->n_params - 1].len + 1;
    add_slice(v, "SCRIPT_NAME", path->data, path->len - info);
    add_slice(v, "PATH_INFO", path->data + path->len - info, info);
    for (size_t i = 0; info && i < v->settings->env.count; i++)
        if (!strcmp(v->settings->env.items[i].name, "DOCUMENT_ROOT")) {
            const char *root = template_constant(v->settings->variables.items[i]);
            size_t len = root ? strlen(root) : 0;
            char *text = arena_alloc(&v->request->arena, len + info + 1);

            v->out_of_memory |= !text;
            if (root && text) {
                memcpy(mempcpy(text, root, len), path->data + path->len - info, info);
                add_slice(v, "PATH_TRANSLATED", text, len + info);
            }
        }
}

static void add_server(struct variables *v)
{
    const struct request *request = v->request;
    const char *host = header(request, "Host");
    const char *colon = host ? strrchr(host, ':') : NULL;
    size_t len = host ? strlen(host) : 0;

    /* A colon within brackets belongs to an IPv6 address. */
    if (colon && strchr(colon, ']'))
        colon = NULL;
    if (len)
        add_slice(v, "SERVER_NAME", host, colon ? (size_t)(colon - host) : len);
    else
        add(v, "SERVER_NAME", request->local_address);
    add(v, "SERVER_ADDR", request->local_address);
    if (*request->local_port)
        add(v, "SERVER_PORT", request->local_port);
    else
        add(v, "SERVER_PORT", colon ? colon + 1 : "80");
    add(v, "SERVER_PROTOCOL", request->protocol);
    add(v, "SERVER_SOFTWARE", "handoffd/" HANDOFFD_VERSION);
}

/* Authorization is for the server, not for the program (RFC 3875, 4.1.18); Proxy would become
 * HTTP_PROXY, which programs take for their own proxy setting; a name with an underscore could pass
 * for one with a hyphen. */
static bool is_passed(const char *name)
{
    static const char *const withheld[] = {"Content-Type",        "Content-Length", "Authorization",
                                           "Proxy-Authorization", "Proxy",          "Connection",
                                           "Transfer-Encoding",   "Keep-Alive",     NULL};

    for (size_t i = 0; withheld[i]; i++)
        if (!strcasecmp(name, withheld[i]))
            return false;
    return !strchr(name, '_') && !strchr(name, '=');
}

static bool is_first(const struct request *request, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!strcasecmp(request->headers[k].name, request->headers[i].name))
            return false;
    return true;
}

/* Fields of one name become one variable. */
static void add_header(struct variables *v, size_t i)
{
    const struct request *request = v->request;
    const char *name = request->headers[i].name;
    const char *between = strcasecmp(name, "Cookie") ? ", " : "; ";
    struct strbuf variable = {0}, value = {0};

    strbuf_adds(&variable, "HTTP_");
    for (const char *c = name; *c; c++)
        strbuf_addc(&variable, (char)(*c == '-' ? '_' : toupper((unsigned char)*c)));
    strbuf_adds(&value, request->headers[i].value);
    for (size_t k = i + 1; k < request->n_headers; k++)
        if (!strcasecmp(request->headers[k].name, name))
            strbuf_addf(&value, "%s%s", between, request->headers[k].value);
    if (variable.failed || value.failed)
        v->out_of_memory = true;
    else
        add_slice(v, variable.data, strbuf_cstr(&value), value.len);
    strbuf_free(&variable);
    strbuf_free(&value);
}

static void add_body(struct variables *v)
{
    const struct request *request = v->request;
    const char *type = header(request, "Content-Type");
    char length[24];

    if (v->settings->in != EXEC_STDIN_BODY)
        return;
    snprintf(length, sizeof length, "%zu", request->body.len);
    if (request->body.len || header(request, "Content-Length"))
        add(v, "CONTENT_LENGTH", length);
    if (type)
        add(v, "CONTENT_TYPE", type);
}

int exec_cgi_variables(const struct exec_settings *s, struct request *request, size_t more,
                       char ***items, size_t *count)
{
    struct variables v = {.settings = s, .request = request};

    v.items = arena_alloc(&request->arena,
                          (FIXED_VARIABLES + request->n_headers + more) * sizeof *v.items);
    if (!v.items)
        return -ENOMEM;
    add(&v, "GATEWAY_INTERFACE", "CGI/1.1");
    add(&v, "REQUEST_METHOD", request->method_name);
    add_slice(&v, "QUERY_STRING", request->query.data, request->query.len);
    add_slice(&v, "REQUEST_URI", request->target.data, request->target.len);
    add(&v, "REMOTE_ADDR", request->peer);
    add(&v, "REMOTE_HOST", request->peer);
    add(&v, "SCRIPT_FILENAME", s->program);
    add(&v, "REDIRECT_STATUS", "200"); /* without it PHP takes the call for one by hand */
    add(&v, "REQUEST_ID", request->id);
    add_paths(&v);
    add_server(&v);
    add_body(&v);
    for (size_t i = 0; i < request->n_headers; i++)
        if (is_passed(request->headers[i].name) && is_first(request, i))
            add_header(&v, i);
    *items = v.items;
    *count = v.count;
    return v.out_of_memory ? -ENOMEM : 0;
}

/* ---- the answer ------------------------------------------------------------------------------ */

void exec_cgi_head(struct exec_run *run, const struct cgi_head *head)
{
    struct response *response = &run->request->response;

    response->status = head->status;
    response->content_type = head->content_type;
    response->lines = head->lines;
    if (head->location)
        response_add_header(run->request, "Location", head->location);
}

int exec_cgi_respond(struct exec_run *run)
{
    struct request *request = run->request;
    struct strbuf *output = &run->output;
    struct cgi_head head;
    const char *why = "";
    char *body;
    int r = cgi_head_parse(strbuf_cstr(output), output->len, true, &request->arena, &head, &why);
    size_t len = r ? 0 : output->len - head.body;

    if (!r && len && !head.content_type && !head.location) {
        why = "a body without a Content-Type";
        r = -EINVAL;
    }
    if (r == -EINVAL) {
        exec_fail(run, 502, "bad_output", "wrote %s", why);
        return 0;
    }
    if (r)
        return r;
    if (head.local) {
        request->redirect = head.location;
        return 0;
    }
    body = malloc(len + 1);
    if (body)
        memcpy(body, output->data + head.body, len);
    r = response_own(request, head.status, head.content_type, body, len);
    if (r)
        return r;
    /* The answer to HEAD tells the length of a body that the program has not written. */
    if (request->method == METHOD_HEAD && head.content_length >= 0)
        request->response.body_len = (size_t)head.content_length;
    exec_cgi_head(run, &head);
    return 0;
}
