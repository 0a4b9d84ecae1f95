/* target.h - a request target taken apart (RFC 9112, 3.2; RFC 3986, 5.2.4 and 6.2.2). */
#ifndef HANDOFFD_TARGET_H
#define HANDOFFD_TARGET_H

#include "arena.h"
#include "request.h"

/* Splits `target` (origin-form, absolute-form or "*") into a path for look-ups and a raw query.  In
 * the path %-escapes are decoded, "//" is folded to "/", dot segments are removed and never lead
 * above the root.  Both results are NUL-terminated and live in the arena.
 * 0; -EINVAL (a broken escape, %00, a fragment, not one of the forms); -ENOMEM. */
int target_parse(const char *target, size_t len, struct arena *arena, struct slice *path,
                 struct slice *query) WARN_UNUSED;

#endif
