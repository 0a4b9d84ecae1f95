/* activation.h - listening sockets that a service manager has opened (sd_listen_fds(3)).  The
 * supervisor's thread only.
 *
 * They stay open until the process ends, whether a listener uses them or not: a reload may come back
 * to one, and what connects meanwhile waits in its backlog. */
#ifndef HANDOFFD_ACTIVATION_H
#define HANDOFFD_ACTIVATION_H

#include "parse_num.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>

/* Takes over the sockets that were passed to this process and clears the environment of them, so that
 * no child takes them for its own.  0 or -errno. */
int activation_init(void) WARN_UNUSED;
void activation_close(void);

/* The socket of that FileDescriptorName=; with NULL the only one there is.  It remains owned here.
 * -1 with the reason in `why` and errno set: there is none, more than one, or it is no listening
 * stream socket. */
int activation_find(const char *name, struct strbuf *why);

/* Goes through the sockets: the i-th one's name and descriptor; NULL behind the last. */
const char *activation_name_at(size_t i, int *fd);

#endif
