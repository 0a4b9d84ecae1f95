/* live: the process serves, also while it drains. */
#include "action.h"

#include <string.h>

static int run(struct request *request, const void *settings)
{
    static const char body[] = "live\n";

    (void)settings;
    response_static(request, 200, "text/plain; charset=utf-8", body, strlen(body));
    return 0;
}

const struct action action_live = {
    .conf = {.name = "live", .methods = action_methods_get, .doc = "200 while the process serves."},
    .run = run,
};
