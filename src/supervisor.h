/* supervisor.h - the main thread's life: start, signals, stop. */
#ifndef HANDOFFD_SUPERVISOR_H
#define HANDOFFD_SUPERVISOR_H

#include "conf.h"

/* Serves `conf` (taken over) until a signal ends it.  Returns the exit status (sysexits.h). */
int supervisor_run(const struct conf_source *source, struct conf *conf);

#endif
