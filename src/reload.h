/* reload.h - from a checked configuration to the one in force: build, check, swap.  The supervisor's
 * thread only. */
#ifndef HANDOFFD_RELOAD_H
#define HANDOFFD_RELOAD_H

#include "daemon.h"
#include "str.h"

/* Why a configuration could not be brought into force. */
enum reload_failure {
    RELOAD_OK,
    RELOAD_NO_ADDRESS, /* a listener cannot be bound */
    RELOAD_NO_RESOURCE /* threads, descriptors or memory */
};

/* Brings `conf` into force and takes it over (it is freed on failure too).  Everything that can fail
 * happens first; on failure nothing has changed and `why` tells the reason. */
enum reload_failure reload_apply(struct daemon *daemon, struct conf *conf, struct strbuf *why);

/* SIGHUP: reads the configuration again and applies it; logs what came of it, every fault included.
 * `status` gets one line for the service manager: what is wrong, or what needs a restart; empty when
 * all is well. */
void reload_run(struct daemon *daemon, struct strbuf *status);

#endif
