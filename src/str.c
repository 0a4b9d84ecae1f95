#include "str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool strbuf_reserve(struct strbuf *sb, size_t more)
{
    size_t wanted, capacity = sb->capacity ? sb->capacity : 64;
    char *data;

    if (sb->failed || more > SIZE_MAX / 2 - sb->len - 1) {
        sb->failed = true;
        return false;
    }
    wanted = sb->len + more + 1;
    if (wanted <= sb->capacity)
        return true;
    while (capacity < wanted)
        capacity *= 2;
    data = realloc(sb->data, capacity);
    if (!data) {
        sb->failed = true;
        return false;
    }
    sb->data = data;
    sb->capacity = capacity;
    return true;
}

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len)
{
    if (!strbuf_reserve(sb, len))
        return;
    if (len)
        memcpy(sb->data + sb->len, bytes, len);
    sb->len += len;
    sb->data[sb->len] = '\0';
}

void strbuf_adds(struct strbuf *sb, const char *text)
{
    strbuf_add(sb, text, strlen(text));
}

void strbuf_addc(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_addv(struct strbuf *sb, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        sb->failed = true;
    else if (strbuf_reserve(sb, (size_t)n)) {
        vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, again);
        sb->len += (size_t)n;
    }
    va_end(again);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    strbuf_addv(sb, fmt, ap);
    va_end(ap);
}

void strbuf_add_quoted(struct strbuf *sb, const char *text)
{
    strbuf_addc(sb, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            strbuf_addf(sb, "\\%c", c);
        else if (c == '\n')
            strbuf_adds(sb, "\\n");
        else if (c == '\t')
            strbuf_adds(sb, "\\t");
        else if (c == '\r')
            strbuf_adds(sb, "\\r");
        else if (c < 0x20 || c == 0x7f)
            strbuf_addf(sb, "\\x%02x", c);
        else
            strbuf_addc(sb, (char)c);
    }
    strbuf_addc(sb, '"');
}

const char *strbuf_cstr(const struct strbuf *sb)
{
    return sb->data ? sb->data : "";
}

char *strbuf_take(struct strbuf *sb)
{
    char *data;

    strbuf_reserve(sb, 0);
    if (sb->failed) {
        strbuf_free(sb);
        return NULL;
    }
    data = sb->data;
    data[sb->len] = '\0';
    *sb = (struct strbuf){0};
    return data;
}

void strbuf_free(struct strbuf *sb)
{
    free(sb->data);
    *sb = (struct strbuf){0};
}

enum { DISTANCE_MAX_LEN = 64, DISTANCE_FAR = 1000 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

unsigned str_distance(const char *a, const char *b)
{
    unsigned rows[3][DISTANCE_MAX_LEN + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > DISTANCE_MAX_LEN || lb > DISTANCE_MAX_LEN)
        return DISTANCE_FAR;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[la % 3][lb];
}

void str_nearest_try(struct str_nearest *nearest, const char *candidate)
{
    unsigned distance = str_distance(nearest->wanted, candidate);
    size_t len = strlen(nearest->wanted);
    /* Half of a short word or a third of a long one changed is another word, not a misspelling. */
    unsigned limit = len < 4 ? 1 : len < 8 ? 2 : (unsigned)len / 3;

    if (distance > limit || (nearest->best && distance >= nearest->distance))
        return;
    nearest->best = candidate;
    nearest->distance = distance;
}
