#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Something is being renamed while the kernel looks a ".." up; it wants to be asked again. */
enum { MAX_ATTEMPTS = 64 };

int beneath_open(int dir, const char *path, int flags, mode_t mode, bool links)
{
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links ? 0 : RESOLVE_NO_SYMLINKS),
    };
    long fd = -1;

    if (flags & O_PATH)
        how.flags &= ~(unsigned long long)O_NOCTTY; /* openat2(2) refuses what has no meaning */
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}
