/* param_value.h - one value of a declared parameter, from its text. */
#ifndef HANDOFFD_PARAM_VALUE_H
#define HANDOFFD_PARAM_VALUE_H

#include "params.h"
#include "str.h"

extern const char *const param_places[]; /* "path", "query" ...; ends with NULL */
extern const char *const param_types[];

/* Makes the parameter's pattern; the whole of a value must match it.  0; -EINVAL with the reason in
 * `why`; -ENOMEM. */
int param_pattern_compile(struct param *param, struct strbuf *why) WARN_UNUSED;
void param_pattern_free(struct param_pattern *pattern);

/* Reads `text` (NUL-terminated at `len`) as the parameter's type and checks its bounds.  false with
 * "found ...; allowed: ..." in `why`.  `out->text` is `text` or a literal. */
bool param_parse(const struct param *param, const char *text, size_t len, struct param_value *out,
                 struct strbuf *why);

/* A number of the parameter's type, without bounds.  0, -EINVAL or -ERANGE. */
int param_parse_int(enum param_type type, const char *text, int64_t *out) WARN_UNUSED;
int param_parse_number(const char *text, double *out) WARN_UNUSED;

#endif
