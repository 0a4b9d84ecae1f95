/* exec with `stream`: what a program writes goes out while it runs.
 *
 * The head is held back until the first byte, so that a program which fails before has a status of
 * its own.  Afterwards only the exit code can tell how it ended: as a trailer field, or as the last
 * event of an event stream. */
#include "action_exec.h"

#include "answer_stream.h"
#include "cgi_head.h"
#include "form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static bool is_event_stream(const struct request *request)
{
    const char *type = request->response.content_type;

    return type && form_is_media_type(type, "text/event-stream");
}

/* The head stands in the response. */
static int begin(struct exec_run *run)
{
    struct request *request = run->request;
    int r;

    run->events = is_event_stream(request);
    if (!run->events && request->protocol && !strcmp(request->protocol, "HTTP/1.1"))
        response_add_header(request, "Trailer", "Exit-Code");
    r = answer_begin(request, ANSWER_UNKNOWN);
    run->begun = !r;
    return r;
}

static int write_body(struct exec_run *run, const char *data, size_t len)
{
    if (!len)
        return 0;
    run->newlines = data[len - 1] != '\n'              ? 0
                    : len > 1 && data[len - 2] == '\n' ? 2
                    : len > 1                          ? 1
                                                       : run->newlines + 1;
    return answer_write(run->request, data, len);
}

/* Collects the head of a CGI program's output; once it is whole the answer begins. */
static int take_cgi_head(struct exec_run *run, const char *data, size_t len)
{
    struct request *request = run->request;
    struct strbuf *output = &run->output;
    struct cgi_head head;
    const char *why;
    size_t rest;
    int r;

    strbuf_add(output, data, len);
    if (output->failed)
        return -ENOMEM;
    r = cgi_head_parse(output->data, output->len, false, &request->arena, &head, &why);
    rest = r ? 0 : output->len - head.body;
    if (r == -EAGAIN || (!r && !rest && !head.content_type && !head.location))
        return 0;
    /* A redirect within the daemon has no body; whatever follows is not kept. */
    if (!r && head.local) {
        output->len = head.body;
        return 0;
    }
    /* What is wrong with it is told when it has ended. */
    if (r || (!head.content_type && !head.location))
        return r == -ENOMEM ? r : -EPROTO;
    exec_cgi_head(run, &head);
    r = begin(run);
    return r ? r : write_body(run, output->data + head.body, rest);
}

int exec_stream_take(struct exec_run *run, const char *data, size_t len)
{
    int r = 0;

    if (run->begun)
        return write_body(run, data, len);
    if (run->settings->cgi)
        return take_cgi_head(run, data, len);
    response_static(run->request, 200, run->settings->content_type, "", 0);
    r = begin(run);
    return r ? r : write_body(run, data, len);
}

int exec_stream_end(struct exec_run *run)
{
    static const char *const breaks[] = {"\n\n", "\n", ""};
    struct request *request = run->request;
    int code = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status);
    char text[64];
    int len;

    if (run->result)
        return run->result;
    if (!run->events) {
        char *value = arena_alloc(&request->arena, 16);

        if (!value)
            return -ENOMEM;
        snprintf(value, 16, "%d", code);
        answer_add_trailer(request, "Exit-Code", value);
        return 0;
    }
    /* An event that the program has not ended is ended first, so that this one stands alone. */
    len = snprintf(text, sizeof text, "%sevent: exit\ndata: %d\n\n",
                   breaks[run->newlines < 2 ? run->newlines : 2], code);
    return answer_write(request, text, (size_t)len);
}
