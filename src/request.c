#include "request.h"

#include "conf.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void request_hand_over(struct request *request, enum request_owner from, enum request_owner to)
{
    assert(request->owner == from);
    (void)from;
    request->owner = to;
}

struct log_subject request_log_subject(const struct request *request)
{
    const struct conf_route *route = request->route;

    return (struct log_subject){
        .request_id = request->id,
        .route = route ? route->path : NULL,
        .pool = route ? route->pool_name : NULL,
    };
}

void response_drop_body(struct response *response)
{
    free(response->owned_body);
    response->owned_body = NULL;
    if (response->parts)
        close(response->file);
    response->parts = NULL;
}

void response_clear(struct request *request)
{
    response_drop_body(&request->response);
    request->response = (struct response){0};
}

void response_static(struct request *request, int status, const char *content_type,
                     const char *body, size_t len)
{
    struct response *response = &request->response;

    response_drop_body(response);
    response->status = status;
    response->content_type = content_type;
    response->body = body;
    response->body_len = len;
    response->reason = NULL;
}

int response_own(struct request *request, int status, const char *content_type, char *body,
                 size_t len)
{
    if (!body)
        return -ENOMEM;
    response_static(request, status, content_type, body, len);
    request->response.owned_body = body;
    return 0;
}

void response_file(struct request *request, int status, const char *content_type, int file,
                   const struct response_part *parts, size_t n_parts)
{
    struct response *response = &request->response;

    response_static(request, status, content_type, NULL, 0);
    response->file = file;
    response->parts = parts;
    response->n_parts = n_parts;
    for (size_t i = 0; i < n_parts; i++)
        response->body_len += parts[i].text.len + (size_t)parts[i].length;
}

void response_add_header(struct request *request, const char *name, const char *value)
{
    struct response *response = &request->response;

    assert(response->n_headers < RESPONSE_MAX_HEADERS);
    if (response->n_headers < RESPONSE_MAX_HEADERS)
        response->headers[response->n_headers++] = (struct header){name, value};
}
