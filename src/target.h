/* target.h - the path of a request target, made ready for look-ups (RFC 3986, 5.2.4 and 6.2.2). */
#ifndef HANDOFFD_TARGET_H
#define HANDOFFD_TARGET_H

#include "arena.h"
#include "request.h"

/* Decodes %-escapes once, then folds "//" to "/" and removes dot segments, which never lead above the
 * root.  `raw` is what guard_head.path holds: the query is not part of it.  The result begins with a
 * slash, is NUL-terminated and lives in the arena.
 * 0; -EINVAL (no slash at the beginning, a broken escape, a NUL or %00); -ENOMEM. */
int target_path(const char *raw, size_t len, struct arena *arena, struct slice *path) WARN_UNUSED;

#endif
