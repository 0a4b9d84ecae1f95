/* reload.h - from a checked configuration to the one in force: build, check, swap.  The supervisor's
 * thread only. */
#ifndef HANDOFFD_RELOAD_H
#define HANDOFFD_RELOAD_H

#include "daemon.h"
#include "str.h"

/* Why a configuration could not be brought into force. */
struct reload_failure {
    bool of_listener;  /* an address cannot be bound; otherwise threads, descriptors or memory */
    struct strbuf why; /* the caller's to free */
};

/* Brings `conf` into force and takes it over (it is freed on failure too).  Everything that can fail
 * happens first; on failure nothing has changed and `failure` tells the reason.  0 or -errno. */
int reload_apply(struct daemon *daemon, struct conf *conf,
                 struct reload_failure *failure) WARN_UNUSED;

/* SIGHUP: reads the configuration again and applies it; logs what came of it, every fault included.
 * `status` gets one line for the service manager: what is wrong, or what needs a restart; empty when
 * all is well. */
void reload_run(struct daemon *daemon, struct strbuf *status);

#endif
