#include "json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local bool refused;

static void *allocate(size_t size)
{
    void *block = malloc(size);

    refused = refused || !block;
    return block;
}

void json_text_init(void)
{
    json_set_alloc_funcs(allocate, free);
}

bool json_text_was_refused(void)
{
    bool was = refused;

    refused = false;
    return was;
}

/* Bytes of the UTF-8 sequence at `p`; 0 when it is none (RFC 3629, section 4). */
static size_t sequence(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        size_t len;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (p[0] < forms[i].low || p[0] > forms[i].high)
            continue;
        if (forms[i].len > left)
            return 0;
        if (forms[i].len > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if (p[k] < 0x80 || p[k] > 0xbf)
                return 0;
        return forms[i].len;
    }
    return 0;
}

bool json_text_is_utf8(const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t i = 0, n;

    while (i < len && (n = sequence(p + i, len - i)))
        i += n;
    return i == len;
}

json_t *json_text(const char *bytes, size_t len)
{
    struct strbuf clean = {0};
    json_t *text;

    if (json_text_is_utf8(bytes, len))
        return json_stringn(bytes, len);
    for (size_t i = 0; i < len;) {
        size_t n = sequence((const unsigned char *)bytes + i, len - i);

        if (n)
            strbuf_add(&clean, bytes + i, n);
        else
            strbuf_adds(&clean, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    text = clean.failed ? NULL : json_stringn(strbuf_cstr(&clean), clean.len);
    refused = refused || !text;
    strbuf_free(&clean);
    return text;
}

json_t *json_text_of(const struct strbuf *text)
{
    refused = refused || text->failed;
    return text->failed ? NULL : json_text(strbuf_cstr(text), text->len);
}

json_t *json_text_base64(const char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes;
    size_t out_len = (len + 2) / 3 * 4;
    char *out = malloc(out_len + 1), *q = out;
    json_t *text;

    if (!out) {
        refused = true;
        return NULL;
    }
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned group = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                         (left > 2 ? p[i + 2] : 0);

        *q++ = digits[group >> 18];
        *q++ = digits[group >> 12 & 63];
        *q++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *q++ = left > 2 ? digits[group & 63] : '=';
    }
    text = json_stringn(out, out_len);
    free(out);
    return text;
}

int json_text_respond(struct request *request, int status, const char *content_type,
                      json_t *document)
{
    char *text = document ? json_dumps(document, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

    json_decref(document);
    if (json_text_was_refused()) {
        free(text);
        text = NULL;
    }
    return response_own(request, status, content_type, text, text ? strlen(text) : 0);
}
