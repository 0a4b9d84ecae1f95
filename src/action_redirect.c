/* redirect: a Location (RFC 9110, 15.4). */
#include "action.h"
#include "problem.h"
#include "template.h"

struct settings {
    char *location;
    int64_t status;
    struct template *template;
};

enum { MAX_LOCATION = 4096 };

static const struct option_row options[] = {
    {"location", OPTION_STRING, offsetof(struct settings, location), NULL, 1, 2048, NULL,
     OPTION_REQUIRED | OPTION_TEMPLATE, NULL,
     "Where the client is sent: a URI or an absolute path."},
    {"status", OPTION_INT, offsetof(struct settings, status), "302", 300, 399, NULL, 0, NULL,
     "The status of the answer."},
    {0},
};

static int create(void *settings, const struct conf_check *check)
{
    struct settings *s = settings;

    for (const char *p = s->location; p && *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f) {
            conf_check_fault(check, "location",
                             "found blanks, control or non-ASCII characters; allowed: a URI "
                             "reference, others as %%-escapes");
            break;
        }
    return template_compile(check, "location", s->location, TEMPLATE_URI, &s->template);
}

static void destroy(void *settings)
{
    template_free(((struct settings *)settings)->template);
}

static int run(struct request *request, const void *settings)
{
    const struct settings *s = settings;

    struct slice location;
    int r = template_fill(s->template, request, &location);

    if (r)
        return r > 0 ? 0 : r;
    if (location.len > MAX_LOCATION) {
        problem_respond(request, 400, NULL,
                        "the answer's Location would have %zu bytes; allowed: %d", location.len,
                        MAX_LOCATION);
        return 0;
    }
    response_static(request, (int)s->status, NULL, "", 0);
    response_add_header(request, "Location", location.data);
    return 0;
}

const struct action action_redirect = {
    .conf = {.name = "redirect",
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct settings),
             .create = create,
             .destroy = destroy,
             .doc = "Sends the client elsewhere."},
    .run = run,
};
