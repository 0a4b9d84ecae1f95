/* guard_fields.h - the fields that frame a request or end its connection. */
#ifndef HANDOFFD_GUARD_FIELDS_H
#define HANDOFFD_GUARD_FIELDS_H

#include "guard_fault.h"
#include "guard_head.h"

/* Reads one field, in the order in which they came; those that frame nothing are passed over. */
enum guard_fault_id guard_fields_read(struct guard_head *head, const struct guard_field *field);

/* After the last field: what only all of them together can tell. */
enum guard_fault_id guard_fields_finish(struct guard_head *head);

#endif
