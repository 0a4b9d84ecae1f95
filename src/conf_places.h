/* conf_places.h - where each setting was written, for faults that only show later. */
#ifndef HANDOFFD_CONF_PLACES_H
#define HANDOFFD_CONF_PLACES_H

#include "parse_num.h"

#include <stdbool.h>
#include <stddef.h>

struct conf_places;

/* `file` answers for whatever has no place of its own.  NULL: out of memory. */
struct conf_places *conf_places_new(const char *file);
void conf_places_free(struct conf_places *places);

/* `key` is a path such as "routes[2].duration"; both strings are copied.  0 or -ENOMEM. */
int conf_places_add(struct conf_places *places, const char *key, const char *where) WARN_UNUSED;

/* Whether a setting of that path was written at all. */
bool conf_places_has(const struct conf_places *places, const char *key);

/* "FILE:LINE" (or "-o KEY=VALUE") of a route's option; of the route when the option was not written
 * or is NULL; of the file when there is no such route.  Belongs to `places`. */
const char *conf_places_route(const struct conf_places *places, size_t route, const char *option);

/* The same for an option of a member of a section, such as "listeners", "main" and "address". */
const char *conf_places_section(const struct conf_places *places, const char *section,
                                const char *name, const char *option);

#endif
