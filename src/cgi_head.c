/* DESIGN
 *
 * What a program writes is not trusted to be HTTP.  Every field is taken apart and put together again:
 * what says how the connection or the body is framed is ours to say and left out, and anything that
 * a client could take for something else than it is makes the whole head refused. */
#include "cgi_head.h"

#include "guard_chars.h"
#include "str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    struct arena *arena;
    struct cgi_head *head;
    struct strbuf lines;
    unsigned n_fields;
    bool has_status;
    const char *why;
};

static int refuse(struct parser *p, const char *why)
{
    p->why = why;
    return -EINVAL;
}

/* Fields that are about the connection or the framing, that the daemon writes itself, or that are for
 * the server alone. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"Connection",
                                        "Keep-Alive",
                                        "Proxy-Connection",
                                        "Transfer-Encoding",
                                        "TE",
                                        "Trailer",
                                        "Upgrade",
                                        "Content-Length",
                                        "Date",
                                        "X-Request-Id",
                                        NULL};

    for (size_t i = 0; names[i]; i++)
        if (!strcasecmp(names[i], name))
            return true;
    return !strncasecmp(name, "X-CGI-", 6);
}

static int take_status(struct parser *p, const char *value)
{
    if (p->has_status)
        return refuse(p, "two fields Status");
    p->has_status = true;
    if (strspn(value, "0123456789") != 3 || (value[3] && value[3] != ' ') || value[0] < '2' ||
        value[0] > '5')
        return refuse(p, "a Status that is not 200 to 599");
    p->head->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0';
    return 0;
}

static bool is_uri(const char *text)
{
    size_t scheme =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return false;
    return text[0] == '/' || (scheme && text[scheme] == ':');
}

static int take_location(struct parser *p, const char *value)
{
    if (p->head->location)
        return refuse(p, "two fields Location");
    if (!is_uri(value))
        return refuse(p, "a Location that is neither a path nor a URI");
    p->head->location = value;
    return 0;
}

static int take_length(struct parser *p, const char *value)
{
    if (p->head->content_length >= 0)
        return refuse(p, "two fields Content-Length");
    if (!*value || value[strspn(value, "0123456789")] ||
        parse_i64(value, &p->head->content_length) != 0)
        return refuse(p, "a Content-Length that is no length");
    return 0;
}

static int take_field(struct parser *p, const char *name, const char *value)
{
    if (!strcasecmp(name, "Status"))
        return take_status(p, value);
    if (!strcasecmp(name, "Location"))
        return take_location(p, value);
    if (!strcasecmp(name, "Content-Length"))
        return take_length(p, value);
    if (!strcasecmp(name, "Content-Type")) {
        if (p->head->content_type)
            return refuse(p, "two fields Content-Type");
        p->head->content_type = value;
        return *value ? 0 : refuse(p, "an empty Content-Type");
    }
    if (!is_ours(name))
        strbuf_addf(&p->lines, "%s: %s\r\n", name, value);
    return 0;
}

static int take_line(struct parser *p, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    const char *end = line + len;
    char *name, *value;

    if (++p->n_fields > CGI_MAX_FIELDS)
        return refuse(p, "more than 100 header fields");
    if (!colon || colon == line)
        return refuse(p, "a line in its head that is no header field");
    for (const char *c = line; c < colon; c++)
        if (!char_is(*c, CHAR_TOKEN))
            return refuse(p, "a header field whose name is none");
    for (const char *c = colon + 1; c < end; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return refuse(p, "a control character in its head");
    name = arena_strndup(p->arena, line, (size_t)(colon - line));
    for (colon++; colon < end && char_is_blank(*colon); colon++)
        ;
    while (end > colon && char_is_blank(end[-1]))
        end--;
    value = arena_strndup(p->arena, colon, (size_t)(end - colon));
    return name && value ? take_field(p, name, value) : -ENOMEM;
}

/* What the fields mean together (RFC 3875, 6.2). */
static int conclude(struct parser *p)
{
    struct cgi_head *head = p->head;
    const char *to = head->location;

    if (!head->content_type && !to && !p->has_status)
        return refuse(p, "none of the fields Content-Type, Location and Status");
    /* A path alone is a local redirect; with a status of its own it is the client that is meant. */
    head->local = to && to[0] == '/' && to[1] != '/' && !p->has_status;
    if (to && !p->has_status)
        head->status = 302;
    head->lines = arena_strndup(p->arena, strbuf_cstr(&p->lines), p->lines.len);
    return head->lines && !p->lines.failed ? 0 : -ENOMEM;
}

/* Takes lines up to the empty one. */
static int parse(struct parser *p, const char *output, size_t len, bool whole)
{
    size_t at = 0;

    for (;;) {
        const char *line = output + at;
        const char *newline = at < len ? memchr(line, '\n', len - at) : NULL;
        size_t end = newline ? (size_t)(newline - output) : len;
        size_t length = end - at;
        int r;

        if ((newline ? end + 1 : len) > CGI_MAX_HEAD)
            return refuse(p, "a head of more than 8192 bytes");
        if (!newline)
            return whole ? refuse(p, "no empty line behind its head") : -EAGAIN;
        if (length && line[length - 1] == '\r')
            length--;
        at = end + 1;
        if (!length)
            break;
        r = take_line(p, line, length);
        if (r)
            return r;
    }
    p->head->body = at;
    return conclude(p);
}

int cgi_head_parse(const char *output, size_t len, bool whole, struct arena *arena,
                   struct cgi_head *head, const char **why)
{
    struct parser p = {.arena = arena, .head = head};
    int r;

    *head = (struct cgi_head){.status = 200, .content_length = -1};
    r = parse(&p, output, len, whole);
    strbuf_free(&p.lines);
    *why = p.why;
    return r;
}
