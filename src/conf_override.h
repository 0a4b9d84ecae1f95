/* conf_override.h - single options from the command line, put into libconfig's tree. */
#ifndef HANDOFFD_CONF_OVERRIDE_H
#define HANDOFFD_CONF_OVERRIDE_H

#include "conf.h"

#include <libconfig.h>

/* Puts "KEY=VALUE" into the tree, in the place of what stands there.  KEY is a path such as
 * "pools.default.threads" or "routes[0].duration"; groups on the way are made, list elements must be
 * there.  VALUE is what could stand in a file, or else a string.  A KEY that leads nowhere goes into
 * `faults`.  0 or -ENOMEM. */
int conf_override_apply(config_t *tree, const char *text, struct conf_faults *faults) WARN_UNUSED;

/* The override that a setting comes from; NULL: it stands in a file. */
const char *conf_override_of(const config_setting_t *setting);

/* The text of VALUE when the override set exactly this setting; NULL otherwise. */
const char *conf_override_value(const config_setting_t *setting);

#endif
