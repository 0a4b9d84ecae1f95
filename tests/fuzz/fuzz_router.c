/* Builds a router from any patterns and looks up any paths; router_model.c does the same in the most
 * obvious way and aborts where the two differ.
 *
 * An input is lines.  "GP03 /jobs/{id}" adds a route: for GET and POST (a letter for each method)
 * on the listeners 0 and 3.  "?G3 /jobs/7" looks a path up: the first method and listener count. */
#include "http_method.h"
#include "router_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The model compares each with each: this is enough to be mixed up, and keeps it fast. */
enum { MAX_ROUTES = 64 };

static const char letters[] = "GHPUADO"; /* in the order of enum http_method */

static unsigned lowest_bit(unsigned bits)
{
    return bits & -bits;
}

/* `line` is NUL-terminated, though a look-up may hold NULs before its end. */
static void run_line(struct router_model *model, char *line, size_t len)
{
    char *text = memchr(line, ' ', len);
    unsigned methods = 0;
    uint64_t listeners = 0;

    if (!text)
        return;
    for (const char *p = line; p < text; p++) {
        const char *letter = *p ? strchr(letters, *p) : NULL;

        if (letter)
            methods |= METHOD_BIT(letter - letters);
        if (*p >= '0' && *p <= '9')
            listeners |= UINT64_C(1) << (*p - '0') * 7; /* up to 63 */
    }
    text++;
    methods = methods ? methods : METHOD_BIT(METHOD_GET);
    listeners = listeners ? listeners : 1;
    if (*line == '?')
        router_model_find(model, text, len - (size_t)(text - line), lowest_bit(methods),
                          (unsigned)__builtin_ctzll(listeners));
    else if (model->count < MAX_ROUTES)
        router_model_add(model, text, methods, listeners);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct router_model model;
    size_t at = 0;

    router_model_init(&model);
    while (at < size) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t len = newline ? (size_t)(newline - data) - at : size - at;
        char *line = malloc(len + 1);

        if (!line)
            abort();
        memcpy(line, data + at, len);
        line[len] = '\0';
        run_line(&model, line, len);
        free(line);
        at += len + 1;
    }
    router_model_free(&model);
    return 0;
}
