/* delay: an answer after a while, by a timer of the loop; no thread waits for it. */
#include "action.h"
#include "duration_settings.h"

#include <string.h>

static const struct option_row options[] = {
    DURATION_OPTION("How long the loop waits before it answers."),
    {0},
};

static int run(struct request *request, const void *settings)
{
    static const char body[] = "done\n";
    const struct duration_settings *s = settings;

    response_static(request, 200, "text/plain; charset=utf-8", body, strlen(body));
    request->response.hold_ns = duration_settings_get(s, request);
    return 0;
}

const struct action action_delay = {
    .conf = {.name = "delay",
             .methods = action_methods_any,
             .options = options,
             .settings_size = sizeof(struct duration_settings),
             .create = duration_settings_create,
             .doc = "Answers after a while by a timer; no thread is held."},
    .run = run,
};
