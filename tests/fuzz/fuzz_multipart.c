/* Feeds a body to the parser of forms that arrive in pieces, once whole and once cut at a place that
 * the first byte names, and byte by byte: what comes out must be the same. */
#include "multipart.h"
#include "str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_begin(void *arg, const struct multipart_head *head)
{
    strbuf_addf(arg, "[%s|%s|", head->name, head->filename ? head->filename : "");
    return 0;
}

static int on_data(void *arg, const char *data, size_t len)
{
    if (!len)
        abort();
    strbuf_add(arg, data, len);
    return 0;
}

static int on_end(void *arg)
{
    strbuf_adds(arg, "]");
    return 0;
}

/* Pieces of `step` bytes behind a first one of `first`. */
static void parse(const char *body, size_t len, size_t first, size_t step, struct strbuf *out)
{
    static const struct multipart_calls calls = {on_begin, on_data, on_end};
    static struct multipart m;
    int r = multipart_begin(&m, "multipart/form-data; boundary=XX", &calls, out);
    size_t at = first < len ? first : len;

    if (!r)
        r = multipart_feed(&m, body, at);
    while (!r && at < len) {
        size_t n = step < len - at ? step : len - at;

        r = multipart_feed(&m, body + at, n);
        at += n;
    }
    if (!r)
        r = multipart_finish(&m);
    strbuf_addf(out, "%d", r);
    if (r && !m.fault)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *body = (const char *)data + 1;
    struct strbuf whole = {0}, cut = {0}, bytes = {0};

    if (!size)
        return 0;
    size--;
    parse(body, size, size, 1, &whole);
    parse(body, size, data[0], size + 1, &cut);
    parse(body, size, 0, 1, &bytes);
    if (whole.len != cut.len || memcmp(whole.data, cut.data, whole.len) != 0 ||
        whole.len != bytes.len || memcmp(whole.data, bytes.data, whole.len) != 0) {
        fprintf(stderr, "whole: %s\ncut:   %s\nbytes: %s\n", whole.data, cut.data, bytes.data);
        abort();
    }
    strbuf_free(&whole);
    strbuf_free(&cut);
    strbuf_free(&bytes);
    return 0;
}
