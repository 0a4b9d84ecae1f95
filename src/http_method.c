#include "http_method.h"

#include <string.h>

const char *const http_method_names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                         "PATCH", "DELETE", "OPTIONS", NULL};

enum http_method http_method_find(const char *name)
{
    int i = 0;

    while (http_method_names[i] && strcmp(http_method_names[i], name) != 0)
        i++;
    return (enum http_method)i;
}

unsigned http_method_answered(unsigned mask)
{
    if (mask & METHOD_BIT(METHOD_GET))
        mask |= METHOD_BIT(METHOD_HEAD);
    return mask | METHOD_BIT(METHOD_OPTIONS);
}

void http_method_print(unsigned mask, struct strbuf *out)
{
    const char *separator = "";

    for (int i = 0; i < METHOD_COUNT; i++)
        if (mask & METHOD_BIT(i)) {
            strbuf_addf(out, "%s%s", separator, http_method_names[i]);
            separator = ", ";
        }
}
