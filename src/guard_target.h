/* guard_target.h - the forms of a request target (RFC 9112, 3.2) and what a Host may be. */
#ifndef HANDOFFD_GUARD_TARGET_H
#define HANDOFFD_GUARD_TARGET_H

#include "guard_fault.h"
#include "guard_head.h"

#include <stdbool.h>
#include <stddef.h>

/* Takes head->target apart (its bytes and escapes have been checked): sets path, query, asterisk,
 * absolute and, in absolute-form, host.  Reads head->method. */
enum guard_fault_id guard_target_read(struct guard_head *head);

/* Whether the text is uri-host [ ":" port ] (RFC 9110, 7.2).  Stricter than the grammar: the host
 * is not empty, a port is at most 65535, what stands in brackets is an IPv6 address, and a comma,
 * which no name has but two joined fields have, is not taken. */
bool guard_authority_valid(const char *text, size_t len);

#endif
