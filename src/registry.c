#include "action.h"

#include "list.h"

#include <string.h>

static const struct action *const registry[] = {
    &action_respond, &action_redirect, &action_echo,   &action_delay,
    &action_pool,    &action_live,     &action_ready,  &action_status,
    &action_sleep,   &action_spin,     &action_digest, &action_resolve,
    &action_metrics, &action_exec,     &action_file,   &action_upload,
};

enum { REGISTRY_SIZE = sizeof registry / sizeof *registry };

const char *const action_methods_get[] = {"GET", NULL};
const char *const action_methods_any[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

const struct conf_action *registry_at(size_t i)
{
    return i < REGISTRY_SIZE ? &registry[i]->conf : NULL;
}

const struct conf_action *registry_find(const char *name)
{
    for (size_t i = 0; i < REGISTRY_SIZE; i++)
        if (!strcmp(registry[i]->conf.name, name))
            return &registry[i]->conf;
    return NULL;
}

const struct action *action_of(const struct conf_action *conf)
{
    return (const struct action *)(const void *)((const char *)conf -
                                                 offsetof(struct action, conf));
}
