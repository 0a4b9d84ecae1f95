/* respond: a fixed answer, sent from the configuration's own memory, or a template filled in. */
#include "action.h"
#include "template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct settings {
    int64_t status;
    char *body;
    char *body_file;
    char *content_type;
    char *content; /* of the file; NULL: `body` counts */
    size_t content_len;
    struct template *template;
};

static const struct option_row options[] = {
    {"status", OPTION_INT, offsetof(struct settings, status), "200", 200, 599, NULL, 0, NULL,
     "The status of the answer."},
    {"body", OPTION_STRING, offsetof(struct settings, body), NULL, 0, 1 << 20, NULL,
     OPTION_TEMPLATE, NULL,
     "The body of the answer; empty when neither this nor body_file is set."},
    {"body_file", OPTION_STRING, offsetof(struct settings, body_file), NULL, 1, 0, NULL, 0, NULL,
     "A file with the body, read when the configuration is loaded."},
    {"content_type", OPTION_STRING, offsetof(struct settings, content_type),
     "text/plain; charset=utf-8", 1, 255, NULL, 0, NULL, "The Content-Type of the answer."},
    {0},
};

enum { MAX_BODY_FILE = 64 << 20 };

static int read_whole(int fd, struct settings *s)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (st.st_size > MAX_BODY_FILE)
        return -EFBIG;
    s->content = malloc((size_t)st.st_size + 1);
    if (!s->content)
        return -ENOMEM;
    while (s->content_len < (size_t)st.st_size) {
        ssize_t n = read(fd, s->content + s->content_len, (size_t)st.st_size - s->content_len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        s->content_len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int load_body_file(struct settings *s, const struct conf_check *check)
{
    char *path = conf_resolve_path(check->conf, s->body_file);
    int fd, r;

    if (!path)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    r = fd < 0 ? -errno : read_whole(fd, s);
    if (fd >= 0)
        close(fd);
    if (r && r != -ENOMEM)
        conf_check_fault(check, "body_file",
                         "cannot read \"%s\": %s; allowed: a regular file of at most %d MiB", path,
                         strerror(-r), MAX_BODY_FILE >> 20);
    free(path);
    return r == -ENOMEM ? r : 0;
}

static bool printable(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int create(void *settings, const struct conf_check *check)
{
    struct settings *s = settings;

    if (!printable(s->content_type))
        conf_check_fault(check, "content_type", "found control characters; allowed: a media type");
    if (s->body && s->body_file)
        conf_check_fault(check, "body_file", "found beside \"body\"; allowed: one of the two");
    else if (s->body_file)
        return load_body_file(s, check);
    return template_compile(check, "body", s->body, TEMPLATE_TEXT, &s->template);
}

static void destroy(void *settings)
{
    struct settings *s = settings;

    free(s->content);
    template_free(s->template);
}

static int run(struct request *request, const void *settings)
{
    const struct settings *s = settings;
    struct slice body = {s->content, s->content_len};
    const char *why;
    int r = s->template ? template_expand(s->template, request, &body, &why) : 0;

    /* A response takes what outlives the request, or takes it over. */
    if (!r && s->template && !template_constant(s->template)) {
        char *copy = malloc(body.len + 1);

        if (copy)
            memcpy(copy, body.data, body.len);
        return response_own(request, (int)s->status, s->content_type, copy, body.len);
    }
    if (!r)
        response_static(request, (int)s->status, s->content_type, body.data ? body.data : "",
                        body.len);
    return r;
}

const struct action action_respond = {
    .conf = {.name = "respond",
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct settings),
             .create = create,
             .destroy = destroy,
             .doc = "A fixed answer."},
    .run = run,
};
