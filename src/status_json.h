/* status_json.h - everything that there is to see, as one JSON document. */
#ifndef HANDOFFD_STATUS_JSON_H
#define HANDOFFD_STATUS_JSON_H

#include "snapshot.h"

#include <jansson.h>

/* Any thread.  A new reference, or NULL when memory has run out. */
json_t *status_json(const struct snapshot *snapshot);

#endif
