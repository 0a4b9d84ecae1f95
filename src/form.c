#include "form.h"

#include "guard_chars.h"
#include "multipart.h"
#include "str.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define TOO_MANY "more than 1000 fields"

static int add_field(struct form_fields *fields, struct slice name, struct slice value,
                     struct arena *arena, const char **why)
{
    if (fields->count == FORM_MAX_FIELDS) {
        *why = TOO_MANY;
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
    size_t pieces = 0;
    int r = 0;

    while (text < end && !r) {
        const char *stop = memchr(text, '&', (size_t)(end - text));
        const char *equals;
        struct slice name, value;

        stop = stop ? stop : end;
        equals = memchr(text, '=', (size_t)(stop - text));
        equals = equals ? equals : stop;
        /* Empty ones count, too: what they cost is looking at them. */
        if (++pieces > FORM_MAX_FIELDS) {
            *why = TOO_MANY;
            return -EINVAL;
        }
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

/* A multipart form whose parts become fields. */
struct reading {
    struct form_fields *fields;
    struct arena *arena;
    const char **why;
    struct slice name;
    struct strbuf value;
};

static int copy(struct arena *arena, const char *text, size_t len, struct slice *out)
{
    char *bytes = arena_alloc(arena, len + 1);

    if (!bytes)
        return -ENOMEM;
    memcpy(bytes, len ? text : "", len);
    *out = (struct slice){bytes, len};
    return 0;
}

static int begin_part(void *arg, const struct multipart_head *head)
{
    struct reading *reading = arg;

    return copy(reading->arena, head->name, strlen(head->name), &reading->name);
}

static int add_data(void *arg, const char *data, size_t len)
{
    struct reading *reading = arg;

    strbuf_add(&reading->value, data, len);
    return reading->value.failed ? -ENOMEM : 0;
}

static int end_part(void *arg)
{
    struct reading *reading = arg;
    struct slice value;
    int r = copy(reading->arena, reading->value.data, reading->value.len, &value);

    strbuf_free(&reading->value);
    return r ? r : add_field(reading->fields, reading->name, value, reading->arena, reading->why);
}

int form_read_multipart(struct form_fields *fields, const char *content_type, const char *body,
                        size_t len, struct arena *arena, const char **why)
{
    static const struct multipart_calls calls = {begin_part, add_data, end_part};
    struct reading reading = {.fields = fields, .arena = arena, .why = why};
    struct multipart multipart;
    int r = multipart_begin(&multipart, content_type, &calls, &reading);

    if (!r)
        r = multipart_feed(&multipart, body, len);
    if (!r)
        r = multipart_finish(&multipart);
    strbuf_free(&reading.value);
    if (r != -EBADMSG)
        return r;
    *why = multipart.fault;
    return -EINVAL;
}
