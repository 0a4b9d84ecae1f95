/* uri_path.h - names of files as parts of URIs (RFC 3986).  Any thread. */
#ifndef HANDOFFD_URI_PATH_H
#define HANDOFFD_URI_PATH_H

#include "str.h"

/* Adds bytes with every one escaped that does not stand for itself in a path; slashes are kept. */
void uri_path_add(struct strbuf *out, const char *bytes, size_t len);

#endif
