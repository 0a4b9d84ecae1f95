/* action.h - what a route does: one file and one const struct for each action.
 *
 * A LOOP action's `run` is called on an event loop and must not block; it answers at once (or sets
 * `hold_ns` in the response and lets the loop wait).  A blocking action's `run` is called on a
 * worker of the route's pool; when it waits or works for long it looks at its task's cancel flag. */
#ifndef HANDOFFD_ACTION_H
#define HANDOFFD_ACTION_H

#include "conf.h"
#include "request.h"

struct action {
    struct conf_action conf; /* name, kind, option rows, create and destroy */
    unsigned needs;          /* enum action_need, whatever the route's templates need */
    /* Fills request->response.  0; -ECANCELED when it ended early because its task was cancelled;
     * another -errno when it failed (the client gets 500 `action_failed`). */
    int (*run)(struct request *request, const void *settings);
};

/* Every action there is, in one table (registry.c). */
const struct conf_action *registry_find(const char *name); /* NULL: no such action */
const struct conf_action *registry_at(size_t i);           /* NULL behind the last */

/* The action whose configuration part this is. */
const struct action *action_of(const struct conf_action *conf);

extern const struct action action_delay;
extern const struct action action_digest;
extern const struct action action_echo;
extern const struct action action_exec;
extern const struct action action_file;
extern const struct action action_live;
extern const struct action action_metrics;
extern const struct action action_pool;
extern const struct action action_ready;
extern const struct action action_redirect;
extern const struct action action_resolve;
extern const struct action action_respond;
extern const struct action action_sleep;
extern const struct action action_spin;
extern const struct action action_status;
extern const struct action action_upload;

/* The methods of actions that only answer, and of those that take anything; end with NULL. */
extern const char *const action_methods_get[];
extern const char *const action_methods_any[];

#endif
