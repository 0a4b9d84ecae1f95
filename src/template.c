/* DESIGN
 *
 * A template is a row of parts: literal text, or a source and the name to look up in it.  Filling in
 * first fetches every value, then joins them in the request's arena: a value is copied once, and one
 * that is there already (a body, a literal) not before.
 *
 * What a text is used for decides which bytes of the request it may take; a byte that it may not
 * is refused, never dropped or replaced, so that no request is understood in two ways. */
#include "template.h"

#include "form.h"
#include "guard_chars.h"
#include "params.h"
#include "problem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum source {
    SOURCE_LITERAL,
    SOURCE_PATH,
    SOURCE_QUERY,
    SOURCE_HEADER,
    SOURCE_PARAM,
    SOURCE_REMOTE_ADDR,
    SOURCE_METHOD,
    SOURCE_REQUEST_PATH,
    SOURCE_REQUEST_ID,
    SOURCE_BODY,
};

/* A name that ends with a dot is followed by another one. */
static const char *const source_names[] = {"",           "path.",       "query.", "header.",
                                           "param.",     "remote_addr", "method", "request_path",
                                           "request_id", "body",        NULL};

struct part {
    enum source source;
    char *name;   /* what is looked up; the text of a literal */
    size_t len;   /* of a literal */
    size_t index; /* of a parameter */
};

struct template
{
    enum template_use use;
    size_t n_parts;
    struct part *parts;
};

/* ---- compiling ------------------------------------------------------------------------------- */

struct compiler {
    const struct conf_check *check;
    const char *option;
    struct template *template;
    bool faulty;
};

static int add_part(struct compiler *c, enum source source, const char *name, size_t len)
{
    struct template *template = c->template;
    struct part *parts = reallocarray(template->parts, template->n_parts + 1, sizeof *parts);

    if (!parts)
        return -ENOMEM;
    template->parts = parts;
    parts[template->n_parts] = (struct part){source, strndup(name, len), len, 0};
    return parts[template->n_parts++].name ? 0 : -ENOMEM;
}

static void unknown_name(struct compiler *c, const char *inside)
{
    struct str_nearest nearest = {.wanted = inside};

    for (size_t i = 1; source_names[i]; i++)
        str_nearest_try(&nearest, source_names[i]);
    conf_check_fault(c->check, c->option,
                     "unknown name \"${%s}\"%s%s%s; allowed: path.NAME, query.NAME, header.NAME, "
                     "param.NAME, remote_addr, method, request_path, request_id and body ($${ "
                     "stands for the two characters ${)",
                     inside, nearest.best ? "; did you mean \"" : "",
                     nearest.best ? nearest.best : "", nearest.best ? "\"?" : "");
    c->faulty = true;
}

static void check_param(struct compiler *c, struct part *part)
{
    const struct group_list *params = &c->check->route->params;
    struct str_nearest nearest = {.wanted = part->name};
    struct strbuf known = {0};

    if (params_find(c->check->route, part->name, &part->index))
        return;
    for (size_t i = 0; i < params->count; i++) {
        const struct param *param = option_group_at(&param_group, params, i);

        if (param->name)
            str_nearest_try(&nearest, param->name);
        strbuf_addf(&known, "%s\"%s\"", i ? ", " : "", param->name ? param->name : "");
    }
    conf_check_fault(
        c->check, c->option, "\"${param.%s}\" is not one of the route's params%s%s%s; allowed: %s",
        part->name, nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
        nearest.best ? "\"?" : "", known.len ? strbuf_cstr(&known) : "none, it has no params");
    strbuf_free(&known);
    c->faulty = true;
}

/* Names that no request can supply. */
static void check_part(struct compiler *c, struct part *part)
{
    const char *path = c->check->route->path;
    size_t len = strlen(part->name);

    if (part->source == SOURCE_PARAM) {
        check_param(c, part);
    } else if (part->source == SOURCE_PATH && path && !router_pattern_has_name(path, part->name)) {
        conf_check_fault(c->check, c->option,
                         "\"${path.%s}\" can have no value: allowed are the named segments of "
                         "\"%s\", and \"rest\" when it ends in /*",
                         part->name, path);
        c->faulty = true;
    } else if (part->source == SOURCE_HEADER && c->check->needs) {
        *c->check->needs |= ACTION_NEEDS_HEADERS;
        for (size_t i = 0; i < len && !c->faulty; i++)
            if (!char_is(part->name[i], CHAR_TOKEN)) {
                conf_check_fault(c->check, c->option,
                                 "\"${header.%s}\" is no header name; allowed: letters, digits "
                                 "and !#$%%&'*+-.^_`|~",
                                 part->name);
                c->faulty = true;
            }
    } else if (part->source == SOURCE_REMOTE_ADDR) {
        *c->check->needs |= ACTION_NEEDS_HEADERS;
    } else if (part->source == SOURCE_BODY) {
        *c->check->needs |= ACTION_NEEDS_BODY;
    }
}

static int add_source(struct compiler *c, const char *inside)
{
    size_t prefix;
    int r;

    for (size_t i = 1; source_names[i]; i++) {
        prefix = strlen(source_names[i]);
        if (source_names[i][prefix - 1] == '.'
                ? strncmp(inside, source_names[i], prefix) || !inside[prefix]
                : strcmp(inside, source_names[i]))
            continue;
        r = add_part(c, (enum source)i, inside + prefix, strlen(inside + prefix));
        if (!r)
            check_part(c, &c->template->parts[c->template->n_parts - 1]);
        return r;
    }
    unknown_name(c, inside);
    return 0;
}

/* Takes what stands between "${" and "}".  `*p` is behind the "${" and goes behind the "}". */
static int take_source(struct compiler *c, const char **p)
{
    const char *end = strchr(*p, '}');
    char *inside;
    int r;

    if (!end) {
        conf_check_fault(c->check, c->option,
                         "\"${%.40s\" has no closing brace; $${ stands for the two characters ${",
                         *p);
        c->faulty = true;
        *p += strlen(*p);
        return 0;
    }
    inside = strndup(*p, (size_t)(end - *p));
    r = inside ? add_source(c, inside) : -ENOMEM;
    free(inside);
    *p = end + 1;
    return r;
}

static int compile(struct compiler *c, const char *text)
{
    struct strbuf literal = {0};
    int r = 0;

    while (!r && (*text || literal.len)) {
        bool source = text[0] == '$' && text[1] == '{';

        if (text[0] && !source) {
            bool escape = !strncmp(text, "$${", 3);

            strbuf_add(&literal, text + escape, 1U + escape);
            text += 1U + 2U * escape;
            continue;
        }
        if (literal.failed)
            r = -ENOMEM;
        else if (literal.len)
            r = add_part(c, SOURCE_LITERAL, strbuf_cstr(&literal), literal.len);
        strbuf_free(&literal);
        if (!r && source) {
            text += 2;
            r = take_source(c, &text);
        }
    }
    if (literal.failed)
        r = -ENOMEM;
    strbuf_free(&literal);
    return r;
}

int template_compile(const struct conf_check *check, const char *option, const char *text,
                     enum template_use use, struct template **out)
{
    struct compiler c = {.check = check, .option = option};
    int r;

    *out = NULL;
    if (!text)
        return 0;
    c.template = calloc(1, sizeof *c.template);
    if (!c.template)
        return -ENOMEM;
    c.template->use = use;
    r = compile(&c, text);
    if (!r && !c.template->n_parts)
        r = add_part(&c, SOURCE_LITERAL, "", 0);
    if (r || c.faulty)
        template_free(c.template);
    else
        *out = c.template;
    return r;
}

void template_free(struct template *template)
{
    if (!template)
        return;
    for (size_t i = 0; i < template->n_parts; i++)
        free(template->parts[i].name);
    free(template->parts);
    free(template);
}

static int add_to_list(const struct conf_check *check, const char *option, const char *text,
                       enum template_use use, struct template_list *out)
{
    int r = template_compile(check, option, text, use, &out->items[out->count]);

    out->count += !r;
    return r;
}

int template_compile_strings(const struct conf_check *check, const char *option,
                             const struct string_list *texts, enum template_use use,
                             struct template_list *out)
{
    int r = 0;

    *out = (struct template_list){.items = calloc(texts->count + 1, sizeof *out->items)};
    if (!out->items)
        return -ENOMEM;
    for (size_t i = 0; i < texts->count && !r; i++)
        r = add_to_list(check, option, texts->items[i], use, out);
    return r;
}

int template_compile_pairs(const struct conf_check *check, const char *option,
                           const struct pair_list *pairs, enum template_use use,
                           struct template_list *out)
{
    int r = 0;

    *out = (struct template_list){.items = calloc(pairs->count + 1, sizeof *out->items)};
    if (!out->items)
        return -ENOMEM;
    for (size_t i = 0; i < pairs->count && !r; i++)
        r = add_to_list(check, option, pairs->items[i].value, use, out);
    return r;
}

void template_list_free(struct template_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        template_free(list->items[i]);
    free(list->items);
    *list = (struct template_list){0};
}

/* ---- filling in ------------------------------------------------------------------------------ */

static bool is_constant(const struct template *template)
{
    return template->n_parts == 1 && template->parts[0].source == SOURCE_LITERAL;
}

const char *template_constant(const struct template *template)
{
    return template && is_constant(template) ? template->parts[0].name : NULL;
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text ? text : "", text ? strlen(text) : 0};
}

static int fetch_query(const char *name, struct request *request, struct slice *out)
{
    struct form_fields fields = {0};
    const struct form_field *field;
    const char *why;
    int r = form_read_urlencoded(&fields, request->query.data, request->query.len, &request->arena,
                                 &why);

    field = form_find(&fields, name);
    *out = field ? field->value : slice_of("");
    return r == -ENOMEM ? r : 0;
}

static struct slice fetch_segment(const char *name, const struct request *request)
{
    const struct route_match *match = &request->match;

    for (size_t i = 0; i < match->n_params; i++)
        if (!strcmp(match->params[i].name, name))
            return (struct slice){match->params[i].value, match->params[i].len};
    return slice_of("");
}

static int fetch(const struct part *part, struct request *request, struct slice *out)
{
    bool out_of_memory = false;

    switch (part->source) {
    case SOURCE_LITERAL:
        *out = (struct slice){part->name, part->len};
        break;
    case SOURCE_PATH:
        *out = fetch_segment(part->name, request);
        break;
    case SOURCE_QUERY:
        return fetch_query(part->name, request, out);
    case SOURCE_HEADER:
        *out = slice_of(params_header(request, part->name, &out_of_memory));
        break;
    case SOURCE_PARAM:
        *out = slice_of(request->params[part->index].text);
        break;
    case SOURCE_REMOTE_ADDR:
        *out = slice_of(request->peer);
        break;
    case SOURCE_METHOD:
        *out = slice_of(request->method_name);
        break;
    case SOURCE_REQUEST_PATH:
        *out = request->path;
        break;
    case SOURCE_REQUEST_ID:
        *out = slice_of(request->id);
        break;
    case SOURCE_BODY:
        *out = request->body;
        break;
    }
    return out_of_memory ? -ENOMEM : 0;
}

/* Paths come decoded: in a URI these three would mean something else again. */
static bool must_escape(enum source source, char c)
{
    bool path = source == SOURCE_PATH || source == SOURCE_REQUEST_PATH;

    return (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f || strchr("\"<>\\^`{|}", c) ||
           (path && strchr("%?#", c));
}

static int escape(const struct part *part, struct request *request, struct slice *value)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(&request->arena, 3 * value->len + 1);
    size_t n = 0;

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < value->len; i++) {
        unsigned char c = (unsigned char)value->data[i];

        if (!must_escape(part->source, value->data[i])) {
            out[n++] = value->data[i];
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    *value = (struct slice){out, n};
    return 0;
}

/* What a value may not hold; NULL: all is well. */
static const char *misfit(enum template_use use, const struct slice *value)
{
    if (use == TEMPLATE_TEXT)
        return NULL;
    if (memchr(value->data, '\0', value->len))
        return "a NUL byte";
    if (use != TEMPLATE_HEADER && use != TEMPLATE_URI)
        return NULL;
    for (size_t i = 0; i < value->len; i++) {
        unsigned char c = (unsigned char)value->data[i];

        if (c == '\r' || c == '\n')
            return "a line break";
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "a control character";
    }
    return NULL;
}

static bool has_dot_segment(const char *path)
{
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");

        if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return true;
        p += n + (p[n] == '/');
    }
    return false;
}

static int refuse(const struct part *part, struct request *request, const char *what,
                  const char **why)
{
    struct strbuf text = {0};

    if (part)
        strbuf_addf(&text, "the value of ${%s%s} has %s", source_names[part->source], part->name,
                    what);
    else
        strbuf_adds(&text, what);
    *why = arena_strndup(&request->arena, strbuf_cstr(&text), text.len);
    strbuf_free(&text);
    return *why ? -EINVAL : -ENOMEM;
}

static int fetch_all(const struct template *template, struct request *request, struct slice *values,
                     const char **why)
{
    int r = 0;

    for (size_t i = 0; i < template->n_parts && !r; i++) {
        const struct part *part = &template->parts[i];
        const char *what;

        r = fetch(part, request, &values[i]);
        if (r || part->source == SOURCE_LITERAL)
            continue;
        what = misfit(template->use, &values[i]);
        if (what)
            r = refuse(part, request, what, why);
        else if (template->use == TEMPLATE_URI)
            r = escape(part, request, &values[i]);
    }
    return r;
}

int template_expand(const struct template *template, struct request *request, struct slice *out,
                    const char **why)
{
    struct slice *values;
    size_t len = 0;
    char *at;
    int r;

    if (is_constant(template)) {
        *out = (struct slice){template->parts[0].name, template->parts[0].len};
        return 0;
    }
    values = arena_alloc(&request->arena, template->n_parts * sizeof *values);
    if (values)
        memset(values, 0, template->n_parts * sizeof *values);
    r = values ? fetch_all(template, request, values, why) : -ENOMEM;
    if (r)
        return r;
    for (size_t i = 0; i < template->n_parts; i++)
        len += values[i].len;
    at = arena_alloc(&request->arena, len + 1);
    if (!at)
        return -ENOMEM;
    *out = (struct slice){at, len};
    for (size_t i = 0; i < template->n_parts; i++)
        if (values[i].data)
            at = mempcpy(at, values[i].data, values[i].len);
    *at = '\0';
    if (template->use == TEMPLATE_PATH && has_dot_segment(out->data))
        return refuse(NULL, request, "a file's name has a segment . or ..", why);
    return 0;
}

int template_fill(const struct template *template, struct request *request, struct slice *out)
{
    const char *why = "";
    int r = template_expand(template, request, out, &why);

    if (r != -EINVAL)
        return r;
    problem_respond(request, 400, NULL, "%s", why);
    return 1;
}
