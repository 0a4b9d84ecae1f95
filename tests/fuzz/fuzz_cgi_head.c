/* Feeds the reader of CGI heads any bytes, whole and cut anywhere.  What it lets pass must be lines of
 * header fields and nothing else, and a head that is known must not change as more comes. */
#include "cgi_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "Name: value" and CRLF, again and again. */
static void check_lines(const char *lines)
{
    while (*lines) {
        const char *end = strstr(lines, "\r\n"), *colon = strstr(lines, ": ");

        if (!end || !colon || colon == lines || colon > end)
            abort();
        for (const char *c = lines; c < end; c++)
            if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f ||
                (c < colon && (*c == ' ' || *c == '\t' || *c == ':')))
                abort();
        lines = end + 2;
    }
}

static void check_text(const char *text)
{
    for (; text && *text; text++)
        if (*text == '\r' || *text == '\n')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t head_end = 0;

    for (int whole = 0; whole < 2; whole++) {
        struct cgi_head head;
        struct arena arena;
        const char *why = NULL;
        int r;

        arena_init(&arena, NULL, 0);
        r = cgi_head_parse((const char *)data, size, whole, &arena, &head, &why);
        if (r == -EINVAL ? !why : r && (whole || r != -EAGAIN))
            abort();
        if (!r) {
            if (head.status < 200 || head.status > 599 || head.body > size ||
                head.body > CGI_MAX_HEAD || (whole && head.body != head_end))
                abort();
            head_end = head.body;
            check_lines(head.lines);
            check_text(head.content_type);
            check_text(head.location);
        }
        arena_clear(&arena);
    }
    return 0;
}
