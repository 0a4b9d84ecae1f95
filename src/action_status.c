/* status: everything that there is to see, as one JSON document. */
#include "action.h"
#include "json_text.h"
#include "status_json.h"

static int run(struct request *request, const void *settings)
{
    (void)settings;
    return json_text_respond(request, 200, "application/json", status_json(request->snapshot));
}

const struct action action_status = {
    .conf = {.name = "status",
             .methods = action_methods_get,
             .doc = "Everything that there is to see, as one JSON document."},
    .run = run,
};
