#include "file_etag.h"

#include <stdio.h>

const char *file_etag(struct arena *arena, const struct stat *st, const char *coding)
{
    char text[128];
    int n = snprintf(text, sizeof text, "\"%llx-%llx-%llx.%lx-%llx.%lx%s%s\"",
                     (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
                     (unsigned long long)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec,
                     (unsigned long long)st->st_ctim.tv_sec, (unsigned long)st->st_ctim.tv_nsec,
                     coding ? "-" : "", coding ? coding : "");

    return arena_strndup(arena, text, (size_t)n);
}
