/* DESIGN
 *
 * The file is made without a name (O_TMPFILE), so that nothing is left of it even when the daemon is
 * killed; where the file system cannot do that it has a hidden name for the time being.  To replace
 * another file in one step it must have a name for a moment, too, as only rename(2) can do that. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_name(struct store *store)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -EIO;
    snprintf(store->name, sizeof store->name, ".handoffd-%016" PRIx64 ".part", random);
    return 0;
}

static int begin_named(struct store *store, mode_t mode)
{
    int r = make_name(store);

    if (r)
        return r;
    store->fd =
        openat(store->dir, store->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    store->has_name = store->fd >= 0;
    return store->fd < 0 ? -errno : 0;
}

int store_begin(struct store *store, int dir, mode_t mode)
{
    int r = 0;

    *store = (struct store){.dir = dir};
    store->fd = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    /* EISDIR comes from file systems that do not know the flag. */
    if (store->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        r = begin_named(store, mode);
    else if (store->fd < 0)
        r = -errno;
    /* As it was asked for, whatever the umask is. */
    if (!r && fchmod(store->fd, mode) < 0) {
        r = -errno;
        store_abort(store);
    }
    return r;
}

int store_write(struct store *store, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(store->fd, data, len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* Gives a file without a name one that does not exist. */
static int link_as(struct store *store, const char *name)
{
    char self[32];

    /* Not AT_EMPTY_PATH, which wants a capability. */
    snprintf(self, sizeof self, "/proc/self/fd/%d", store->fd);
    return linkat(AT_FDCWD, self, store->dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int put_in_place(struct store *store, const char *name, bool replace)
{
    int r = 0;

    if (!store->has_name && !replace)
        return link_as(store, name);
    if (!store->has_name) {
        r = make_name(store);
        if (!r)
            r = link_as(store, store->name);
        store->has_name = !r;
    }
    if (!r && renameat2(store->dir, store->name, store->dir, name, replace ? 0 : RENAME_NOREPLACE))
        r = -errno;
    if (!r)
        store->has_name = false;
    return r;
}

int store_commit(struct store *store, const char *name, bool replace, enum store_sync sync,
                 bool *replaced)
{
    struct stat st;
    int r = 0;

    if (sync != STORE_SYNC_NONE && fsync(store->fd) < 0)
        r = -errno;
    *replaced = replace && fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!r)
        r = put_in_place(store, name, replace);
    if (!r && sync == STORE_SYNC_FULL && fsync(store->dir) < 0)
        r = -errno;
    store_abort(store);
    return r;
}

void store_abort(struct store *store)
{
    if (store->has_name)
        (void)unlinkat(store->dir, store->name, 0);
    store->has_name = false;
    if (store->fd >= 0)
        close(store->fd);
    store->fd = -1;
}
