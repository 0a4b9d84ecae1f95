/* cgi_head.h - the head of what a CGI program writes (RFC 3875, section 6).  Any thread. */
#ifndef HANDOFFD_CGI_HEAD_H
#define HANDOFFD_CGI_HEAD_H

#include "arena.h"
#include "parse_num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CGI_MAX_HEAD = 8192, CGI_MAX_FIELDS = 100 };

struct cgi_head {
    int status;
    const char *content_type; /* NULL: none, so there must be no body */
    const char *location;     /* NULL: none */
    bool local;               /* the location is to be answered by the server itself */
    int64_t content_length;   /* as the program says; -1: it does not */
    const char *lines;        /* the fields to be passed on, CRLF after each */
    size_t body;              /* where in the output the body begins */
};

/* Reads the head.  `whole` tells that no more output will come.  All texts live in the arena.
 * 0; -EAGAIN: it has not come whole yet; -EINVAL: it must not be passed on, with the reason in `*why`
 * (which lives in the arena or for ever); -ENOMEM. */
int cgi_head_parse(const char *output, size_t len, bool whole, struct arena *arena,
                   struct cgi_head *head, const char **why) WARN_UNUSED;

#endif
