/* pool_json.h - a pool's numbers by name: for the actions that show them. */
#ifndef HANDOFFD_POOL_JSON_H
#define HANDOFFD_POOL_JSON_H

#include "snapshot.h"

#include <jansson.h>

/* The names that pool_json_field knows; ends with NULL. */
extern const char *const pool_json_fields[];

/* The number behind the i-th name. */
uint64_t pool_json_field(const struct pool_stats *stats, size_t i);

/* New references, or NULL when memory has run out. */
json_t *pool_json(const struct snapshot *snapshot, size_t i);
json_t *pool_json_books(const struct pool_books *books);

#endif
