/* sleep: blocks a worker for a while, as a call into a slow database does. */
#include "action.h"
#include "duration_settings.h"

#include <errno.h>
#include <string.h>

static const struct option_row options[] = {
    DURATION_OPTION("How long the worker is blocked."),
    {0},
};

static int run(struct request *request, const void *settings)
{
    static const char body[] = "done\n";
    int64_t duration = duration_settings_get(settings, request);

    if (duration && !task_sleep_until(&request->task, clock_now_ns() + duration))
        return -ECANCELED;
    response_static(request, 200, "text/plain; charset=utf-8", body, strlen(body));
    return 0;
}

const struct action action_sleep = {
    .conf = {.name = "sleep",
             .blocking = true,
             .methods = action_methods_any,
             .options = options,
             .settings_size = sizeof(struct duration_settings),
             .create = duration_settings_create,
             .doc = "Blocks a worker for a while."},
    .run = run,
};
