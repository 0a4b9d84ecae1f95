#include "admit.h"

#include "conf.h"
#include "params.h"
#include "problem.h"
#include "template.h"

#include <errno.h>

/* Together with what the configuration allows of fixed ones, these must fit an answer's head. */
enum { MAX_HEADER_LINES = 2048 };

/* What is shorter is read within a third of a millisecond. */
enum { LONG_FORM = 16 << 10 };

static int add_header(struct request *request, size_t i, struct strbuf *lines)
{
    const struct conf_route *route = request->route;
    struct slice value = {0};
    int r = template_fill(route->header_templates[i], request, &value);

    if (!r)
        strbuf_addf(lines, "%s: %.*s\r\n", route->headers.items[i].name, (int)value.len,
                    value.data);
    return r;
}

static void fill_headers(struct request *request)
{
    const struct conf_route *route = request->route;
    struct strbuf lines = {0};
    int r = 0;

    for (size_t i = 0; i < route->headers.count && !r; i++)
        if (route->header_templates[i])
            r = add_header(request, i, &lines);
    if (!r && lines.len > MAX_HEADER_LINES)
        problem_respond(request, 400, NULL, "the answer's headers would have more than %d bytes",
                        MAX_HEADER_LINES);
    else if (!r)
        request->header_lines = arena_strndup(&request->arena, strbuf_cstr(&lines), lines.len);
    if (r == -ENOMEM || lines.failed || (!r && !request->response.status && !request->header_lines))
        problem_respond(request, 503, NULL, "out of memory");
    strbuf_free(&lines);
}

bool admit_is_for_worker(const struct request *request)
{
    const struct conf_route *route = request->route;

    return route->action->blocking && request->body.len > LONG_FORM && params_have_form(route);
}

void admit_request(struct request *request)
{
    const struct conf_route *route = request->route;
    json_t *faults;
    int r = route->params.count ? params_read(request, &faults) : 0;

    if (r == -EINVAL)
        problem_respond_with(request, 422, "errors", faults,
                             "%zu of the request's parameters cannot be used",
                             json_array_size(faults));
    else if (r)
        problem_respond(request, 503, NULL, "out of memory");
    else if (route->has_header_templates)
        fill_headers(request);
}
