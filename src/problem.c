#include "problem.h"

#include "conf.h"
#include "json_text.h"

#include <string.h>

const char *problem_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Unknown";
}

/* Without memory for the document, the status alone. */
static void respond(struct request *request, int status, const char *reason, const char *member,
                    json_t *value, const struct strbuf *text)
{
    const char *detail = strbuf_cstr(text);
    const struct conf_route *route = request->route;
    json_t *document;

    json_text_was_refused(); /* of a document before, which this one may tell of */
    document = text->failed ? NULL
                            : json_pack("{s:s, s:s, s:i, s:o}", "type", "about:blank", "title",
                                        problem_title(status), "status", status, "detail",
                                        json_text(detail, strlen(detail)));

    if (document && reason)
        json_object_set_new(document, "reason", json_string(reason));
    if (document && route && route->pool_index >= 0)
        json_object_set_new(document, "pool",
                            json_text(route->pool_name, strlen(route->pool_name)));
    if (document && route)
        json_object_set_new(document, "route", json_text(route->path, strlen(route->path)));
    if (document && member)
        json_object_set(document, member, value);
    if (json_text_respond(request, status, "application/problem+json", document))
        response_static(request, status, NULL, "", 0);
    request->response.reason = reason;
}

void problem_respond(struct request *request, int status, const char *reason, const char *fmt, ...)
{
    struct strbuf detail = {0};
    va_list ap;

    va_start(ap, fmt);
    strbuf_addv(&detail, fmt, ap);
    va_end(ap);
    respond(request, status, reason, NULL, NULL, &detail);
    strbuf_free(&detail);
}

void problem_respond_with(struct request *request, int status, const char *member, json_t *value,
                          const char *fmt, ...)
{
    struct strbuf detail = {0};
    va_list ap;

    va_start(ap, fmt);
    strbuf_addv(&detail, fmt, ap);
    va_end(ap);
    respond(request, status, NULL, member, value, &detail);
    strbuf_free(&detail);
    json_decref(value);
}
