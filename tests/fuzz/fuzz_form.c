/* Feeds the form readers any bytes.  The first line is the Content-Type, the rest the body, which is
 * read as multipart and as urlencoded.  Every field must lie within bounds that a sanitizer sees, and
 * what is found must be found again by its name. */
#include "form.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum; /* keeps the reads from being optimised away */

static void check(const struct form_fields *fields, int result, const char *why)
{
    if ((result && result != -EINVAL) || (result == -EINVAL && !why) ||
        fields->count > FORM_MAX_FIELDS)
        abort();
    for (size_t i = 0; i < fields->count; i++) {
        const struct form_field *field = &fields->items[i];
        char *name = strndup(field->name.data, field->name.len);

        for (size_t k = 0; k < field->value.len; k++)
            sum += (unsigned char)field->value.data[k];
        if (!name || (strlen(name) == field->name.len && !form_find(fields, name)))
            abort();
        free(name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    size_t type_len = line ? (size_t)(line - text) : 0, head = line ? type_len + 1 : 0;
    char *type = strndup(line ? text : "", type_len);
    char *body = malloc(size - head + !(size - head));

    if (!type || !body)
        abort();
    if (size > head)
        memcpy(body, text + head, size - head);
    for (int kind = 0; kind < 2; kind++) {
        struct form_fields fields = {0};
        struct arena arena;
        const char *why = NULL;
        int r;

        arena_init(&arena, NULL, 0);
        r = kind ? form_read_multipart(&fields, type, body, size - head, &arena, &why)
                 : form_read_urlencoded(&fields, body, size - head, &arena, &why);
        check(&fields, r, why);
        arena_clear(&arena);
    }
    free(type);
    free(body);
    return 0;
}
