/* template.h - texts with ${...} in them, filled in for each request.
 *
 *   ${path.NAME}  ${query.NAME}  ${header.NAME}  ${param.NAME}  ${remote_addr}  ${method}
 *   ${request_path}  ${request_id}  ${body}        and $${ for a literal ${
 *
 * Compiled when the configuration is loaded; then read only, for any thread that owns the request. */
#ifndef HANDOFFD_TEMPLATE_H
#define HANDOFFD_TEMPLATE_H

#include "conf.h"
#include "request.h"

/* What the filled-in text is for, and so what a request's bytes may not do to it. */
enum template_use {
    TEMPLATE_TEXT,     /* anything */
    TEMPLATE_HEADER,   /* a header's value: no CR, LF or other control character but tab */
    TEMPLATE_URI,      /* the same for Location; bytes that a URI cannot hold are escaped */
    TEMPLATE_ARGUMENT, /* one argument or variable of a program: no NUL */
    TEMPLATE_PATH,     /* a file's name: no NUL, no segment "." or ".." */
};

struct template;

/* Compiles the text of an option, if it is set, and notes what it needs of a request.  What is wrong
 * with it becomes a fault of the option.  The result (NULL after a fault or without a text) is the
 * caller's to free.  0 or -ENOMEM. */
int template_compile(const struct conf_check *check, const char *option, const char *text,
                     enum template_use use, struct template **out) WARN_UNUSED;
void template_free(struct template *template);

/* The text of a template that is the same for every request; NULL: there is no such. */
const char *template_constant(const struct template *template);

/* Fills in a template.  The result is NUL-terminated and lives as long as the request.
 * 0; -EINVAL when a value does not fit the use, with a sentence about it in `*why`, which lives as
 * long; -ENOMEM. */
int template_expand(const struct template *template, struct request *request, struct slice *out,
                    const char **why) WARN_UNUSED;

/* The same for an action: when a value does not fit, the request is answered with status 400 and
 * 1 returned. */
int template_fill(const struct template *template, struct request *request,
                  struct slice *out) WARN_UNUSED;

/* Several of them, such as the arguments of a program. */
struct template_list {
    struct template **items;
    size_t count;
};

int template_compile_strings(const struct conf_check *check, const char *option,
                             const struct string_list *texts, enum template_use use,
                             struct template_list *out) WARN_UNUSED;
/* The values of pairs. */
int template_compile_pairs(const struct conf_check *check, const char *option,
                           const struct pair_list *pairs, enum template_use use,
                           struct template_list *out) WARN_UNUSED;
void template_list_free(struct template_list *list);

#endif
