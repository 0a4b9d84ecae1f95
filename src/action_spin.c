/* spin: keeps a worker computing until it has used so much CPU time. */
#include "action.h"
#include "duration_settings.h"

#include <errno.h>
#include <string.h>

enum { STEPS_BETWEEN_LOOKS = 2000 }; /* some microseconds of work */

static const struct option_row options[] = {
    DURATION_OPTION("CPU time of the worker's thread that is used up."),
    {0},
};

static int run(struct request *request, const void *settings)
{
    static const char body[] = "done\n";
    int64_t end = clock_thread_cpu_ns() + duration_settings_get(settings, request);
    volatile uint64_t state = 1;

    while (clock_thread_cpu_ns() < end) {
        if (task_cancelled(&request->task))
            return -ECANCELED;
        for (int i = 0; i < STEPS_BETWEEN_LOOKS; i++)
            state = state * UINT64_C(6364136223846793005) + 1;
    }
    response_static(request, 200, "text/plain; charset=utf-8", body, strlen(body));
    return 0;
}

const struct action action_spin = {
    .conf = {.name = "spin",
             .blocking = true,
             .methods = action_methods_any,
             .options = options,
             .settings_size = sizeof(struct duration_settings),
             .create = duration_settings_create,
             .doc = "Uses CPU time on a worker."},
    .run = run,
};
