/* redirect: a fixed Location (RFC 9110, 15.4). */
#include "action.h"

struct settings {
    char *location;
    int64_t status;
};

static const struct option_row options[] = {
    {"location", OPTION_STRING, offsetof(struct settings, location), NULL, 1, 2048, NULL,
     OPTION_REQUIRED, NULL, "Where the client is sent: a URI or an absolute path."},
    {"status", OPTION_INT, offsetof(struct settings, status), "302", 300, 399, NULL, 0, NULL,
     "The status of the answer."},
    {0},
};

static int create(void *settings, const struct conf_check *check)
{
    const struct settings *s = settings;

    for (const char *p = s->location; p && *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f) {
            conf_check_fault(check, "location",
                             "found blanks, control or non-ASCII characters; allowed: a URI "
                             "reference, others as %%-escapes");
            break;
        }
    return 0;
}

static int run(struct request *request, const void *settings)
{
    const struct settings *s = settings;

    response_static(request, (int)s->status, NULL, "", 0);
    response_add_header(request, "Location", s->location);
    return 0;
}

const struct action action_redirect = {
    .conf = {.name = "redirect",
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct settings),
             .create = create,
             .doc = "Sends the client elsewhere."},
    .run = run,
};
