#include "form.h"

#include "guard_chars.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static int add_field(struct form_fields *fields, struct slice name, struct slice value,
                     struct arena *arena, const char **why)
{
    if (fields->count == FORM_MAX_FIELDS) {
        *why = "more than 1000 fields";
        return -EINVAL;
    }
    if (fields->count == fields->capacity) {
        size_t capacity = fields->capacity ? 2 * fields->capacity : 8;
        struct form_field *items = arena_alloc(arena, capacity * sizeof *items);

        if (!items)
            return -ENOMEM;
        if (fields->count)
            memcpy(items, fields->items, fields->count * sizeof *items);
        fields->items = items;
        fields->capacity = capacity;
    }
    fields->items[fields->count++] = (struct form_field){name, value};
    return 0;
}

const struct form_field *form_find(const struct form_fields *fields, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < fields->count; i++)
        if (fields->items[i].name.len == len && !memcmp(fields->items[i].name.data, name, len))
            return &fields->items[i];
    return NULL;
}

static size_t decode_escape(const char *text, size_t left, char *out)
{
    if (left < 3 || !char_is(text[1], CHAR_HEX) || !char_is(text[2], CHAR_HEX)) {
        *out = '%';
        return 1;
    }
    *out = (char)(char_hex_value(text[1]) << 4 | char_hex_value(text[2]));
    return 3;
}

static int decode(const char *text, size_t len, struct arena *arena, struct slice *out)
{
    char *copy;
    size_t n = 0;

    if (!memchr(text, '%', len) && !memchr(text, '+', len)) {
        *out = (struct slice){text, len};
        return 0;
    }
    copy = arena_alloc(arena, len + 1);
    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < len;)
        if (text[i] == '%') {
            i += decode_escape(text + i, len - i, &copy[n++]);
        } else {
            copy[n++] = (char)(text[i] == '+' ? ' ' : text[i]);
            i++;
        }
    *out = (struct slice){copy, n};
    return 0;
}

int form_read_urlencoded(struct form_fields *fields, const char *text, size_t len,
                         struct arena *arena, const char **why)
{
    const char *end = text + len;
    int r = 0;

    while (text < end && !r) {
        const char *stop = memchr(text, '&', (size_t)(end - text));
        const char *equals;
        struct slice name, value;

        stop = stop ? stop : end;
        equals = memchr(text, '=', (size_t)(stop - text));
        equals = equals ? equals : stop;
        if (stop > text) {
            r = decode(text, (size_t)(equals - text), arena, &name);
            if (!r && equals < stop)
                r = decode(equals + 1, (size_t)(stop - equals) - 1, arena, &value);
            else
                value = (struct slice){"", 0};
            if (!r)
                r = add_field(fields, name, value, arena, why);
        }
        text = stop + 1;
    }
    return r;
}

/* ---- multipart ------------------------------------------------------------------------------- */

bool form_is_media_type(const char *content_type, const char *media_type)
{
    size_t len = strlen(media_type);

    return !strncasecmp(content_type, media_type, len) &&
           strchr("; \t", content_type[len]) != NULL; /* the NUL at its end is found, too */
}

ssize_t form_find_parameter(const char *text, size_t len, const char *name, char *out)
{
    size_t i = 0, name_len = strlen(name);

    while (i < len && text[i] != ';')
        i++;
    while (i < len) {
        size_t start, n = 0;
        bool wanted;

        while (i < len && (text[i] == ';' || char_is_blank(text[i])))
            i++;
        start = i;
        while (i < len && text[i] != '=' && text[i] != ';')
            i++;
        wanted = i < len && text[i] == '=' && i - start == name_len &&
                 !strncasecmp(text + start, name, name_len);
        if (i >= len || text[i] == ';')
            continue;
        i++;
        if (i < len && text[i] == '"') {
            for (i++; i < len && text[i] != '"'; i++) {
                i += text[i] == '\\' && i + 1 < len;
                out[n++] = text[i];
            }
            i += i < len;
        } else {
            while (i < len && text[i] != ';' && !char_is_blank(text[i]))
                out[n++] = text[i++];
        }
        if (wanted)
            return (ssize_t)n;
        while (i < len && text[i] != ';')
            i++;
    }
    return -ENOENT;
}

/* Browsers write these three bytes of a name as escapes (the HTML standard), and no others. */
size_t form_decode_name(char *name, size_t len)
{
    static const struct {
        char escape[4], byte;
    } table[] = {{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}};
    size_t n = 0;

    for (size_t i = 0; i < len; i++, n++) {
        name[n] = name[i];
        for (size_t k = 0; k < 3 && i + 2 < len; k++)
            if (!strncasecmp(name + i, table[k].escape, 3)) {
                name[n] = table[k].byte;
                i += 2;
                break;
            }
    }
    return n;
}

/* Takes the field's name out of the header lines of a part. */
static int part_name(const char *head, size_t len, struct arena *arena, struct slice *name,
                     const char **why)
{
    static const char field[] = "Content-Disposition:";
    const char *end = head + len;

    while (head < end) {
        const char *stop = memmem(head, (size_t)(end - head), "\r\n", 2);
        size_t line = (size_t)((stop ? stop : end) - head);

        if (line >= sizeof field - 1 && !strncasecmp(head, field, sizeof field - 1)) {
            char *out = arena_alloc(arena, line + 1);
            ssize_t n = out ? form_find_parameter(head, line, "name", out) : -ENOMEM;

            if (n >= 0)
                *name = (struct slice){out, form_decode_name(out, (size_t)n)};
            else
                *why = "a part has no name";
            return n >= 0 ? 0 : n == -ENOMEM ? -ENOMEM : -EINVAL;
        }
        head += line + 2;
    }
    *why = "a part has no Content-Disposition";
    return -EINVAL;
}

/* Reads one part between its delimiters. */
static int read_part(struct form_fields *fields, const char *part, size_t len, struct arena *arena,
                     const char **why)
{
    size_t most = len < FORM_MAX_PART_HEAD ? len : FORM_MAX_PART_HEAD;
    const char *blank = memmem(part, most, "\r\n\r\n", 4);
    struct slice name;
    int r;

    if (!blank) {
        *why = "the head of a part does not end within 8192 bytes";
        return -EINVAL;
    }
    r = part_name(part, (size_t)(blank - part), arena, &name, why);
    if (r)
        return r;
    blank += 4;
    return add_field(fields, name, (struct slice){blank, len - (size_t)(blank - part)}, arena, why);
}

/* The next delimiter line (which begins with CRLF) from `at` on; `*after` is what follows its line
 * break, NULL when it is the closing one. */
static const char *find_delimiter(const char *at, const char *end, const char *delimiter,
                                  size_t len, const char **after)
{
    const char *found;

    while ((found = memmem(at, (size_t)(end - at), delimiter, len))) {
        const char *p = found + len;

        *after = NULL;
        if (end - p >= 2 && p[0] == '-' && p[1] == '-')
            return found;
        while (p < end && char_is_blank(*p))
            p++;
        if (end - p >= 2 && p[0] == '\r' && p[1] == '\n') {
            *after = p + 2;
            return found;
        }
        at = found + len; /* a longer line that begins alike */
    }
    return NULL;
}

int form_read_multipart(struct form_fields *fields, const char *content_type, const char *body,
                        size_t len, struct arena *arena, const char **why)
{
    const char *end = body + len, *at = body, *after = NULL, *found;
    size_t type_len = strlen(content_type), boundary_len;
    char *delimiter = arena_alloc(arena, type_len + 5);
    ssize_t n;
    int r = 0;

    if (!delimiter)
        return -ENOMEM;
    memcpy(delimiter, "\r\n--", 4);
    n = form_find_parameter(content_type, type_len, "boundary", delimiter + 4);
    if (n <= 0 || n > FORM_MAX_BOUNDARY) {
        *why = "the Content-Type has no boundary of 1 to 70 bytes";
        return -EINVAL;
    }
    boundary_len = (size_t)n + 4;
    /* The first delimiter may stand at the very beginning, without a line break before it. */
    if (len >= boundary_len - 2 && !memcmp(body, delimiter + 2, boundary_len - 2))
        found = find_delimiter(at, end, delimiter + 2, boundary_len - 2, &after);
    else
        found = find_delimiter(at, end, delimiter, boundary_len, &after);
    while (found && after && !r) {
        at = after;
        /* An empty part's closing delimiter shares the line break of the one before. */
        found = find_delimiter(at - 2, end, delimiter, boundary_len, &after);
        if (found)
            r = found < at ? -EINVAL : read_part(fields, at, (size_t)(found - at), arena, why);
        if (r == -EINVAL && found < at)
            *why = "a part is empty";
    }
    if (!r && !found) {
        *why = "the closing delimiter is missing";
        r = -EINVAL;
    }
    return r;
}
