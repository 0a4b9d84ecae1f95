/* store.h - writes a file so that it appears under its name whole or not at all. */
#ifndef HANDOFFD_STORE_H
#define HANDOFFD_STORE_H

#include "parse_num.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum store_sync {
    STORE_SYNC_FULL, /* file and name are on disk when store_commit returns */
    STORE_SYNC_FILE, /* the bytes are before the name is there: after a crash all of it or nothing */
    STORE_SYNC_NONE,
};

struct store {
    int dir; /* the caller's */
    int fd;
    bool has_name; /* `name` exists; otherwise the file has none, and goes when it is closed */
    char name[40]; /* ".handoffd-RANDOM.part" */
};

/* Begins a file in the directory `dir` (not opened with O_PATH).  0 or -errno. */
int store_begin(struct store *store, int dir, mode_t mode) WARN_UNUSED;

/* Adds bytes.  0 or -errno; -ENOSPC, -EDQUOT and -EFBIG tell of a disk or a limit that is full. */
int store_write(struct store *store, const char *data, size_t len) WARN_UNUSED;

/* Gives the file its name, one without slashes, and ends it in any case.  Without `replace` a name
 * that exists is -EEXIST; with it, what is there goes, and `*replaced` tells whether there was
 * something.  0 or -errno, and then nothing is left. */
int store_commit(struct store *store, const char *name, bool replace, enum store_sync sync,
                 bool *replaced) WARN_UNUSED;

/* Ends a file that shall not be. */
void store_abort(struct store *store);

#endif
