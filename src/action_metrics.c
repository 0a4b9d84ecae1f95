/* metrics: everything that is counted, for Prometheus. */
#include "action.h"
#include "metrics.h"

static int run(struct request *request, const void *settings)
{
    struct strbuf text = {0};
    size_t len;

    (void)settings;
    metrics_write(request->snapshot, &text);
    len = text.len;
    return response_own(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                        strbuf_take(&text), len);
}

const struct action action_metrics = {
    .conf = {.name = "metrics",
             .methods = action_methods_get,
             .doc = "Everything that is counted, in the Prometheus text format."},
    .run = run,
};
