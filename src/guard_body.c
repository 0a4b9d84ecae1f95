/* DESIGN
 *
 * Content goes through untouched and uncopied; only the framing of chunks is looked at byte by
 * byte, by a machine that keeps numbers and no text.  Trailer fields are checked like any field and
 * dropped: nothing here depends on them, and none of them may frame or route a request
 * (RFC 9110, 6.5.1).
 *
 * Chunks of one byte with long extensions would let a client make the daemon read hundreds of bytes
 * for each one that counts against max_body.  Therefore framing has a budget of its own.
 *
 * Blanks around a chunk's size are refused although RFC 9112, 7.1.1, tolerates "BWS" in front of an
 * extension's semicolon: no client needs them, and parsers disagree about them.  Within extensions
 * the grammar is followed. */
#include "guard_body.h"

#include "guard_chars.h"

enum state {
    NOWHERE,
    WHOLE, /* Content-Length */
    SIZE_FIRST,
    SIZE,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_NAME_END, /* a blank was seen */
    EXT_VALUE_FIRST,
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_VALUE_END, /* a closing quote was seen */
    EXT_BLANK_END, /* a blank behind a value was seen: only another extension may follow */
    AT_SIZE_LF,
    CONTENT,
    AT_CONTENT_CR,
    AT_CONTENT_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    AT_TRAILER_LF,
    AT_LAST_LF,
    FINISHED,
};

void guard_body_begin(struct guard_body *body, const struct guard_head *head, uint64_t max,
                      uint32_t max_trailer)
{
    *body = (struct guard_body){
        .left = head->content_length,
        .max = max,
        .max_trailer = max_trailer,
        .state = head->chunked ? SIZE_FIRST : WHOLE,
    };
}

uint64_t guard_body_content_left(const struct guard_body *body)
{
    return body->state == WHOLE || body->state == CONTENT ? body->left : 0;
}

/* The size is known: is there room for the chunk? */
static enum guard_fault_id end_size(struct guard_body *body, enum state next)
{
    if (body->left > body->max - body->content)
        return GUARD_BODY_LONG;
    body->content += body->left;
    body->state = (uint8_t)next;
    return GUARD_OK;
}

static enum guard_fault_id in_size(struct guard_body *body, char c)
{
    if (char_is(c, CHAR_HEX)) {
        if (body->left > INT64_MAX >> 4)
            return GUARD_CHUNK_OVERFLOW;
        body->left = body->left << 4 | char_hex_value(c);
        body->state = SIZE;
        return GUARD_OK;
    }
    if (body->state == SIZE && c == ';')
        return end_size(body, EXT_NAME_FIRST);
    if (body->state == SIZE && c == '\r')
        return end_size(body, AT_SIZE_LF);
    return guard_bad_byte(c, GUARD_CHUNK_SIZE);
}

/* chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS value ] ): RFC 9112, 7.1.1.  The state behind the
 * byte, or NOWHERE if the byte may not stand there. */
static enum state ext_next(enum state state, char c)
{
    bool token = char_is(c, CHAR_TOKEN), blank = char_is_blank(c);

    switch (state) {
    case EXT_NAME_FIRST:
        return token ? EXT_NAME : blank ? EXT_NAME_FIRST : NOWHERE;
    case EXT_NAME:
    case EXT_NAME_END:
        if (token && state == EXT_NAME)
            return EXT_NAME;
        if (c == '\r' && state == EXT_NAME)
            return AT_SIZE_LF;
        if (c == '=')
            return EXT_VALUE_FIRST;
        return c == ';' ? EXT_NAME_FIRST : blank ? EXT_NAME_END : NOWHERE;
    case EXT_VALUE_FIRST:
        return token ? EXT_TOKEN : c == '"' ? EXT_QUOTED : blank ? EXT_VALUE_FIRST : NOWHERE;
    case EXT_QUOTED:
        if (c == '"')
            return EXT_VALUE_END;
        return c == '\\' ? EXT_ESCAPED : char_is(c, CHAR_VALUE) ? EXT_QUOTED : NOWHERE;
    case EXT_ESCAPED:
        return char_is(c, CHAR_VALUE) ? EXT_QUOTED : NOWHERE;
    case EXT_TOKEN:
    case EXT_VALUE_END:
        if (token && state == EXT_TOKEN)
            return EXT_TOKEN;
        if (c == '\r')
            return AT_SIZE_LF;
        return c == ';' ? EXT_NAME_FIRST : blank ? EXT_BLANK_END : NOWHERE;
    case EXT_BLANK_END:
        return c == ';' ? EXT_NAME_FIRST : blank ? EXT_BLANK_END : NOWHERE;
    default:
        return NOWHERE;
    }
}

static enum guard_fault_id end_chunk_line(struct guard_body *body, char c)
{
    if (c != '\n')
        return GUARD_BARE_CR;
    body->framing += (uint64_t)body->line + 1;
    body->line = 0;
    body->state = body->left ? CONTENT : TRAILER_FIRST;
    if (body->framing > GUARD_CHUNK_WASTE_FREE &&
        (body->framing - GUARD_CHUNK_WASTE_FREE) / GUARD_CHUNK_WASTE_RATIO > body->content)
        return GUARD_CHUNK_WASTE;
    return GUARD_OK;
}

static enum guard_fault_id in_chunk_line(struct guard_body *body, char c)
{
    enum state next;

    if (body->state == AT_SIZE_LF)
        return end_chunk_line(body, c);
    if (body->line++ == GUARD_CHUNK_LINE_MAX && c != '\r')
        return GUARD_CHUNK_LINE_LONG;
    if (body->state <= SIZE)
        return in_size(body, c);
    next = ext_next((enum state)body->state, c);
    if (next == NOWHERE)
        return guard_bad_byte(c, GUARD_CHUNK_EXTENSION);
    body->state = (uint8_t)next;
    return GUARD_OK;
}

static enum guard_fault_id behind_content(struct guard_body *body, char c)
{
    body->framing++;
    if (body->state == AT_CONTENT_CR) {
        body->state = AT_CONTENT_LF;
        return c == '\r' ? GUARD_OK : GUARD_CHUNK_END;
    }
    body->state = SIZE_FIRST;
    return c == '\n' ? GUARD_OK : GUARD_CHUNK_END;
}

static enum guard_fault_id trailer_first(struct guard_body *body, char c)
{
    if (char_is_blank(c))
        return GUARD_FIELD_FOLDED;
    if (c == ':')
        return GUARD_NAME_EMPTY;
    body->state = TRAILER_NAME;
    return char_is(c, CHAR_TOKEN) ? GUARD_OK : guard_bad_byte(c, GUARD_NAME_BYTE);
}

static enum guard_fault_id trailer_name(struct guard_body *body, char c)
{
    if (char_is(c, CHAR_TOKEN))
        return GUARD_OK;
    if (char_is_blank(c))
        return GUARD_NAME_BLANK;
    body->state = TRAILER_VALUE;
    if (c == ':')
        return GUARD_OK;
    return c == '\r' ? GUARD_NAME_ALONE : guard_bad_byte(c, GUARD_NAME_BYTE);
}

/* The empty line at the end does not count against max_trailer: it is always there. */
static enum guard_fault_id in_trailer(struct guard_body *body, char c)
{
    if (body->state == AT_LAST_LF) {
        body->state = FINISHED;
        return c == '\n' ? GUARD_OK : GUARD_BARE_CR;
    }
    if (body->state == TRAILER_FIRST && c == '\r') {
        body->state = AT_LAST_LF;
        return GUARD_OK;
    }
    if (body->trailer++ == body->max_trailer)
        return GUARD_TRAILER_LONG;
    switch ((enum state)body->state) {
    case TRAILER_FIRST:
        return trailer_first(body, c);
    case TRAILER_NAME:
        return trailer_name(body, c);
    case TRAILER_VALUE:
        if (char_is(c, CHAR_VALUE))
            return GUARD_OK;
        body->state = AT_TRAILER_LF;
        return c == '\r' ? GUARD_OK : guard_bad_byte(c, GUARD_VALUE_BYTE);
    default:
        body->state = TRAILER_FIRST;
        return c == '\n' ? GUARD_OK : GUARD_BARE_CR;
    }
}

/* One byte of framing. */
static enum guard_fault_id step(struct guard_body *body, char c)
{
    if (body->state <= AT_SIZE_LF)
        return in_chunk_line(body, c);
    if (body->state <= AT_CONTENT_LF)
        return behind_content(body, c);
    return in_trailer(body, c);
}

static size_t give(struct guard_body *body, const char *data, size_t len,
                   struct guard_body_out *out)
{
    size_t n = len < body->left ? len : (size_t)body->left;

    *out = (struct guard_body_out){.data = data, .len = n};
    out->piece = n ? GUARD_PIECE_DATA : GUARD_PIECE_NONE;
    body->left -= n;
    return n;
}

static size_t fail(size_t used, enum guard_fault_id fault, struct guard_body_out *out)
{
    *out = (struct guard_body_out){.piece = GUARD_PIECE_FAULT, .fault = fault};
    return used;
}

size_t guard_body_feed(struct guard_body *body, const char *data, size_t len,
                       struct guard_body_out *out)
{
    size_t used = 0;

    if (body->state == WHOLE) {
        if (body->left > body->max)
            return fail(0, GUARD_BODY_LONG, out);
        if (body->left)
            return give(body, data, len, out);
        body->state = FINISHED;
    }
    while (body->state != FINISHED && used < len) {
        enum guard_fault_id fault;

        if (body->state == CONTENT) {
            size_t n = give(body, data + used, len - used, out);

            body->state = body->left ? CONTENT : AT_CONTENT_CR;
            return used + n;
        }
        fault = step(body, data[used++]);
        if (fault)
            return fail(used, fault, out);
    }
    *out = (struct guard_body_out){0};
    out->piece = body->state == FINISHED ? GUARD_PIECE_END : GUARD_PIECE_NONE;
    return used;
}
