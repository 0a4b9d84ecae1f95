#include "request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void request_hand_over(struct request *request, enum request_owner from, enum request_owner to)
{
    assert(request->owner == from);
    (void)from;
    request->owner = to;
}

static void drop_body(struct response *response)
{
    free(response->owned_body);
    response->owned_body = NULL;
}

void response_clear(struct request *request)
{
    drop_body(&request->response);
    request->response = (struct response){0};
}

void response_static(struct request *request, int status, const char *content_type,
                     const char *body, size_t len)
{
    struct response *response = &request->response;

    drop_body(response);
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

void response_add_header(struct request *request, const char *name, const char *value)
{
    struct response *response = &request->response;

    assert(response->n_headers < RESPONSE_MAX_HEADERS);
    if (response->n_headers < RESPONSE_MAX_HEADERS)
        response->headers[response->n_headers++] = (struct header){name, value};
}
