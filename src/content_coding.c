#include "content_coding.h"

#include "guard_chars.h"

#include <string.h>
#include <strings.h>

const struct content_coding_names content_codings[CODING_COUNT] = {
    [CODING_BR] = {"br", ".br"},
    [CODING_ZSTD] = {"zstd", ".zst"},
    [CODING_GZIP] = {"gzip", ".gz"},
};

/* Weights in thousandths; NOT_NAMED when the field does not say. */
enum { NOT_NAMED = -1, IDENTITY = CODING_COUNT, ANY, WEIGHT_COUNT };

/* Reads a weight such as "0.75"; what is none weighs nothing. */
static int read_weight(const char *at)
{
    int weight = 0, scale = 1000;

    if (*at != '0' && *at != '1')
        return 0;
    weight = (*at++ - '0') * 1000;
    if (*at == '.')
        while (char_is(*++at, CHAR_DIGIT) && scale > 1) {
            scale /= 10;
            weight += (*at - '0') * scale;
        }
    return weight > 1000 ? 1000 : weight;
}

static void read_member(const char *text, size_t len, int weights[WEIGHT_COUNT])
{
    size_t name = 0;
    const char *q = memchr(text, ';', len);
    int weight = 1000;

    while (name < len && char_is(text[name], CHAR_TOKEN))
        name++;
    if (q) {
        q += 1 + strspn(q + 1, " \t");
        weight = (*q | 0x20) == 'q' && q[1] == '=' ? read_weight(q + 2) : 1000;
    }
    for (int i = 0; i < CODING_COUNT; i++)
        if (strlen(content_codings[i].name) == name &&
            !strncasecmp(content_codings[i].name, text, name))
            weights[i] = weight;
    if (name == 6 && !strncasecmp(text, "x-gzip", 6))
        weights[CODING_GZIP] = weight;
    if (name == 8 && !strncasecmp(text, "identity", 8))
        weights[IDENTITY] = weight;
    if (name == 1 && *text == '*')
        weights[ANY] = weight;
}

static void read_field(const char *value, int weights[WEIGHT_COUNT])
{
    while (*value) {
        size_t len;

        value += strspn(value, " \t,");
        len = strcspn(value, ",");
        if (len)
            read_member(value, len, weights);
        value += len;
    }
}

unsigned content_coding_order(const struct request *request,
                              enum content_coding order[CODING_COUNT])
{
    int weights[WEIGHT_COUNT], identity;
    unsigned n = 0;

    for (int i = 0; i < WEIGHT_COUNT; i++)
        weights[i] = NOT_NAMED;
    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, "Accept-Encoding"))
            read_field(request->headers[i].value, weights);
    /* A client that does not speak of it takes the bytes as they are, but would rather not. */
    identity = weights[IDENTITY] == NOT_NAMED ? 0 : weights[IDENTITY];
    for (int i = 0; i < CODING_COUNT; i++) {
        unsigned at = n;

        if (weights[i] == NOT_NAMED)
            weights[i] = weights[ANY];
        if (weights[i] <= 0 || weights[i] < identity)
            continue;
        for (; at && weights[order[at - 1]] < weights[i]; at--)
            order[at] = order[at - 1];
        order[at] = (enum content_coding)i;
        n++;
    }
    return n;
}
