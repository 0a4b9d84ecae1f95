/* DESIGN
 *
 * A line is put together on the loop's thread in a buffer of the loop and copied to its ring; the
 * writer's thread does the rest (line_writer.c).
 *
 * Everything that a client has sent is escaped so that it can neither end a line nor a field, and cut
 * when it is longer than its share of the buffer.  A combined line has the form that Apache and nginx
 * write, whose escape is \xNN; a JSON line is one object, whose text is UTF-8. */
#include "access_log.h"

#include "conn.h"
#include "conn_address.h"
#include "exchange.h"
#include "fixed_text.h"
#include "json_text.h"
#include "line_writer.h"
#include "log.h"
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes that a field may have once it is escaped. */
enum { MAX_TARGET = 8 << 10, MAX_FIELD = 2 << 10 };

/* ---- opening --------------------------------------------------------------------------------- */

void access_log_failed(int error)
{
    static struct log_limit limit = {.interval_ns = 10 * NS_PER_SEC};

    log_limited(&limit, LOG_LEVEL_ERROR, "access log: cannot write: %s; lines are lost",
                strerror(error));
}

int access_log_open(const struct conf *conf, struct line_target **out, struct strbuf *why)
{
    const char *place = conf->server.access_log;
    bool is_file = conf_is_log_file(place);
    char *path = is_file ? conf_resolve_path(conf, place) : NULL;
    int r = -ENOMEM;

    *out = is_file && !path ? NULL : line_target_open(path ? path : place);
    if (*out)
        r = 0;
    else if (path)
        r = -errno;
    if (r)
        strbuf_addf(why, "server.access_log: cannot open \"%s\": %s", path ? path : place,
                    strerror(-r));
    free(path);
    return r;
}

/* ---- putting a line together ----------------------------------------------------------------- */

/* Room for the longest line is left by the bounds of its fields, so that none is cut. */

static void put_hex(struct fixed_text *line, const char *prefix, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char hex[] = {digits[c >> 4], digits[c & 15]};

    put_string(line, prefix);
    put(line, hex, sizeof hex);
}

/* Printable ASCII without what ends a quoted field or begins an escape. */
static bool is_plain(unsigned char c)
{
    return c - 0x20u < 0x5f && c != '"' && c != '\\';
}

/* The length of the character at `at` if it may stand in a quoted field as it is, else 0. */
static size_t plain_char(const char *at, const char *end, bool json)
{
    unsigned char c = (unsigned char)*at;
    size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (c < 0x80)
        return is_plain(c);
    return json && len <= (size_t)(end - at) && json_text_is_utf8(at, len) ? len : 0;
}

static void put_escaped(struct fixed_text *line, unsigned char c, bool json)
{
    if (!json)
        put_hex(line, "\\x", c);
    else if (c >= 0x80)
        PUT_LITERAL(line, "\\ufffd");
    else
        put_hex(line, "\\u00", c);
}

/* At most `most` bytes, never half a character. */
static void put_quoted(struct fixed_text *line, struct slice text, size_t most, bool json)
{
    const char *at = text.data, *end = text.data + text.len, *stop = line->at + most - 6;

    while (at < end && line->at < stop) {
        const char *from = at;
        const char *most_at = end - at < stop - line->at ? end : at + (stop - line->at);
        size_t n;

        while (at < most_at && is_plain((unsigned char)*at))
            at++;
        while (at < most_at && (n = plain_char(at, end, json)))
            at += n;
        put(line, from, (size_t)(at - from));
        if (at < most_at)
            put_escaped(line, (unsigned char)*at++, json);
    }
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text ? text : "", text ? strlen(text) : 0};
}

/* ---- combined -------------------------------------------------------------------------------- */

/* A field of which nothing is known is "-". */
static void put_field(struct fixed_text *line, struct slice text, size_t most)
{
    if (text.len)
        put_quoted(line, text, most, false);
    else
        PUT_LITERAL(line, "-");
}

static const char *stamp(struct access_lines *lines)
{
    time_t now = time(NULL);
    struct tm tm;

    if (now != lines->second) {
        lines->second = now;
        localtime_r(&now, &tm);
        strftime(lines->stamp, sizeof lines->stamp, "%d/%b/%Y:%H:%M:%S %z", &tm);
    }
    return lines->stamp;
}

static void put_request_line(struct fixed_text *line, const struct exchange *x)
{
    const struct request *request = &x->request;

    if (!request->target.len) {
        PUT_LITERAL(line, "-");
        return;
    }
    put_quoted(line, slice_of(request->method_name), 64, false);
    PUT_LITERAL(line, " ");
    put_quoted(line, request->target, MAX_TARGET, false);
    put_string(line, x->http10 ? " HTTP/1.0" : " HTTP/1.1");
}

static void put_combined(struct fixed_text *line, const struct exchange *x, int status)
{
    put_string(line, x->request.peer ? x->request.peer : "-");
    PUT_LITERAL(line, " - - [");
    put_string(line, stamp(&x->loop->access));
    PUT_LITERAL(line, "] \"");
    put_request_line(line, x);
    PUT_LITERAL(line, "\" ");
    put_number(line, (uint64_t)status);
    PUT_LITERAL(line, " ");
    put_number(line, x->body_sent);
    PUT_LITERAL(line, " \"");
    put_field(line, x->referer, MAX_FIELD);
    PUT_LITERAL(line, "\" \"");
    put_field(line, x->user_agent, MAX_FIELD);
    PUT_LITERAL(line, "\"\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_text(struct fixed_text *line, const char *name, struct slice text, size_t most)
{
    if (!text.len)
        return;
    PUT_LITERAL(line, ",\"");
    put_string(line, name);
    PUT_LITERAL(line, "\":\"");
    put_quoted(line, text, most, true);
    PUT_LITERAL(line, "\"");
}

/* In UTC, with milliseconds. */
static void put_time(struct fixed_text *line, struct access_lines *lines)
{
    struct timespec now;
    struct tm tm;
    long ms;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != lines->utc_second) {
        lines->utc_second = now.tv_sec;
        gmtime_r(&now.tv_sec, &tm);
        strftime(lines->utc_stamp, sizeof lines->utc_stamp, "%Y-%m-%dT%H:%M:%S.", &tm);
    }
    ms = now.tv_nsec / 1000000;
    put_string(line, lines->utc_stamp);
    put(line,
        (const char[]){(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10),
                       'Z'},
        4);
}

static void put_times(struct fixed_text *line, const struct exchange *x, int64_t now)
{
    struct exchange_times times;

    exchange_times(x, now, &times);
    PUT_LITERAL(line, ",\"queue_ms\":");
    put_ms(line, times.queue_ns);
    PUT_LITERAL(line, ",\"run_ms\":");
    put_ms(line, times.run_ns);
    PUT_LITERAL(line, ",\"total_ms\":");
    put_ms(line, times.total_ns);
}

static const char *reason_of(const struct exchange *x)
{
    return x->answered ? x->request.response.reason : "client_gone";
}

static void put_json(struct fixed_text *line, const struct exchange *x, int status, int64_t now)
{
    const struct request *request = &x->request;
    const struct conf_route *route = request->route;

    PUT_LITERAL(line, "{\"time\":\"");
    put_time(line, &x->loop->access);
    PUT_LITERAL(line, "\",\"status\":");
    put_number(line, (uint64_t)status);
    PUT_LITERAL(line, ",\"bytes\":");
    put_number(line, x->body_sent);
    put_times(line, x, now);
    put_text(line, "request_id", slice_of(request->id), MAX_FIELD);
    put_text(line, "client", slice_of(request->peer), MAX_FIELD);
    put_text(line, "method", slice_of(request->method_name), 64);
    put_text(line, "target", request->target, MAX_TARGET);
    if (request->target.len)
        put_text(line, "protocol", slice_of(x->http10 ? "HTTP/1.0" : "HTTP/1.1"), MAX_FIELD);
    if (route)
        put_text(line, "route", slice_of(route->path), MAX_FIELD);
    if (route && route->pool_index >= 0)
        put_text(line, "pool", slice_of(route->pool_name), MAX_FIELD);
    put_text(line, "reason", slice_of(reason_of(x)), MAX_FIELD);
    put_text(line, "fault", slice_of(x->fault), MAX_FIELD);
    put_text(line, "trace_id", slice_of(request->trace.id), MAX_FIELD);
    put_text(line, "referer", x->referer, MAX_FIELD);
    put_text(line, "user_agent", x->user_agent, MAX_FIELD);
    PUT_LITERAL(line, "}\n");
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool is_on(const struct exchange *x)
{
    return x->request.snapshot->conf->access_log;
}

static struct slice copy_field(struct exchange *x, const struct guard_head *head, const char *name)
{
    const struct guard_field *field = guard_head_find(head, name);
    char *copy =
        field ? arena_strndup(&x->request.arena, guard_text(head, field->value), field->value.len)
              : NULL;

    return (struct slice){copy, copy ? field->value.len : 0};
}

void access_log_begin(struct exchange *x, const struct guard_head *head)
{
    if (!is_on(x))
        return;
    if (!x->request.peer && x->conn)
        x->request.peer = conn_peer_address(x->conn, &x->request.arena);
    if (head && !x->user_agent.data) {
        x->referer = copy_field(x, head, "Referer");
        x->user_agent = copy_field(x, head, "User-Agent");
    }
}

void access_log_end(struct exchange *x, int status, int64_t now)
{
    static struct log_limit limit = {.interval_ns = 10 * NS_PER_SEC};
    struct access_lines *lines = &x->loop->access;
    struct fixed_text line = {.at = lines->line, .end = lines->line + sizeof lines->line};
    const struct snapshot *snapshot = x->request.snapshot;

    if (!is_on(x))
        return;
    if (snapshot->conf->server.access_log_format == CONF_ACCESS_LOG_JSON)
        put_json(&line, x, status, now);
    else
        put_combined(&line, x, status);
    if (!line_writer_add(snapshot->vitals->access_log, x->loop->index, lines->line,
                         (size_t)(line.at - lines->line)))
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "access log: its place takes lines too slowly, some are dropped");
    lines->added = true;
}

void access_log_flush(struct loop *loop)
{
    if (!loop->access.added)
        return;
    loop->access.added = false;
    line_writer_kick(loop->snapshot->vitals->access_log, loop->index);
}
