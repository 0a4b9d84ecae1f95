#include "target.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes %-escapes into `out`, which has room for `len` bytes.  The decoded length or -EINVAL. */
static ssize_t decode(const char *raw, size_t len, char *out)
{
    size_t n = 0;

    /* It would end the path for whoever takes it as a string. */
    if (memchr(raw, '\0', len))
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (raw[i] != '%') {
            out[n++] = raw[i];
            continue;
        }
        high = i + 2 < len ? hex_value(raw[i + 1]) : -1;
        low = i + 2 < len ? hex_value(raw[i + 2]) : -1;
        if (high < 0 || low < 0 || (high | low) == 0)
            return -EINVAL;
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    return (ssize_t)n;
}

/* Folds slashes and removes dot segments in place; the path begins with a slash.  Returns the new
 * length. */
static size_t normalise(char *path, size_t len)
{
    size_t out = 0, in = 0;

    while (in < len) {
        size_t start, n;

        while (in < len && path[in] == '/')
            in++;
        for (start = in; in < len && path[in] != '/';)
            in++;
        n = in - start;
        if (n == 2 && path[start] == '.' && path[start + 1] == '.') {
            while (out && path[out - 1] != '/')
                out--;
            out -= out > 0;
        } else if (n && !(n == 1 && path[start] == '.')) {
            path[out++] = '/';
            memmove(path + out, path + start, n);
            out += n;
            continue;
        }
        /* An empty or removed segment at the end leaves its slash. */
        if (in == len)
            path[out++] = '/';
    }
    return out;
}

int target_path(const char *raw, size_t len, struct arena *arena, struct slice *path)
{
    char *out;
    ssize_t n;

    if (!len || raw[0] != '/')
        return -EINVAL;
    out = arena_alloc(arena, len + 1);
    if (!out)
        return -ENOMEM;
    n = decode(raw, len, out);
    if (n < 0)
        return (int)n;
    path->len = normalise(out, (size_t)n);
    path->data = out;
    out[path->len] = '\0';
    return 0;
}
