#include "precondition.h"

#include "clock.h"

#include <string.h>
#include <strings.h>

/* Whether a list of entity tags, or "*", names this one.  A list that is cut short by a fault counts
 * as far as it goes. */
static bool names_etag(const char *list, const char *etag, bool weak_counts)
{
    size_t len = etag ? strlen(etag) : 0;

    for (;;) {
        bool weak;
        const char *end;

        list += strspn(list, " \t,");
        if (*list == '*' && etag)
            return true;
        weak = list[0] == 'W' && list[1] == '/';
        list += weak ? 2 : 0;
        end = *list == '"' ? strchr(list + 1, '"') : NULL;
        if (!end)
            return false;
        end++;
        if ((!weak || weak_counts) && len && (size_t)(end - list) == len &&
            !memcmp(list, etag, len))
            return true;
        list = end;
    }
}

/* Whether any field of that name names the tag; `*present` tells whether there is one. */
static bool any_names_etag(const struct request *request, const char *name, const char *etag,
                           bool weak_counts, bool *present)
{
    bool found = false;

    *present = false;
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) != 0)
            continue;
        *present = true;
        found |= names_etag(request->headers[i].value, etag, weak_counts);
    }
    return found;
}

/* A field with a date that is none, or that comes twice, is ignored. */
static bool read_date(const struct request *request, const char *name, time_t *when)
{
    const char *value = NULL;

    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) != 0)
            continue;
        if (value)
            return false;
        value = request->headers[i].value;
    }
    return value && clock_parse_http_date(value, when);
}

enum precondition precondition_check(const struct request *request,
                                     const struct validators *validators)
{
    const char *etag = validators ? validators->etag : NULL;
    bool reads = request->method == METHOD_GET || request->method == METHOD_HEAD;
    bool present, found = any_names_etag(request, "If-Match", etag, false, &present);
    time_t when;

    if (present && !found)
        return PRECONDITION_FAILED;
    if (!present && validators && read_date(request, "If-Unmodified-Since", &when) &&
        validators->modified > when)
        return PRECONDITION_FAILED;
    found = any_names_etag(request, "If-None-Match", etag, true, &present);
    if (present && found)
        return reads ? PRECONDITION_NOT_MODIFIED : PRECONDITION_FAILED;
    if (!present && reads && validators && read_date(request, "If-Modified-Since", &when) &&
        validators->modified <= when)
        return PRECONDITION_NOT_MODIFIED;
    return PRECONDITION_HOLDS;
}

bool precondition_range_counts(const struct request *request, const struct validators *validators)
{
    bool present;
    time_t when;

    if (any_names_etag(request, "If-Range", validators->etag, false, &present))
        return true;
    /* A date is a strong validator only if nothing can have changed within its second; what was
     * changed less than a second ago may change again (8.8.2.2). */
    return !present || (read_date(request, "If-Range", &when) && when == validators->modified &&
                        when < time(NULL) - 1);
}
