/* conf_file.h - from a configuration file to settings structs, by libconfig. */
#ifndef HANDOFFD_CONF_FILE_H
#define HANDOFFD_CONF_FILE_H

#include "conf.h"
#include "conf_places.h"

/* Reads the file (and the overrides) into `conf`, which is zeroed: server, listeners, pools and
 * routes with their actions' settings, defaults filled in, each value checked against its row.
 * Every fault goes into `faults`.  0, or -ENOMEM.  The caller frees `*places`. */
int conf_file_read(const struct conf_source *source, struct conf *conf, struct conf_places **places,
                   struct conf_faults *faults) WARN_UNUSED;

#endif
