#include "guard_transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MUST(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line) __attribute__((noreturn));

static void broken(const char *condition, int line)
{
    fprintf(stderr, "guard_transcript.c:%d: does not hold: %s\n", line, condition);
    abort();
}

struct guard_memory guard_memory;

/* The size of each block stands in front of it. */
union block {
    size_t size;
    max_align_t align;
};

void *guard_memory_resize(void *memory, size_t size)
{
    union block *block = memory ? (union block *)memory - 1 : NULL, *resized;
    size_t old = block ? block->size : 0;

    if (!size) {
        guard_memory.live -= old;
        free(block);
        return NULL;
    }
    if (++guard_memory.calls == guard_memory.fail_at)
        return NULL;
    resized = realloc(block, sizeof *block + size);
    MUST(resized);
    resized->size = size;
    guard_memory.live += size - old;
    guard_memory.moved += old;
    if (guard_memory.live > guard_memory.peak)
        guard_memory.peak = guard_memory.live;
    return resized + 1;
}

uint64_t guard_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

size_t guard_cut_none(void *arg, size_t left)
{
    (void)arg;
    return left;
}

size_t guard_cut_bytes(void *arg, size_t left)
{
    (void)arg;
    (void)left;
    return 1;
}

size_t guard_cut_once(void *arg, size_t left)
{
    size_t *at = arg, n = *at ? *at : left;

    *at = 0;
    return n;
}

/* Mostly small pieces, for the interesting cuts are those within a line; some large ones. */
size_t guard_cut_random(void *arg, size_t left)
{
    uint64_t *state = arg, r = guard_random(state);
    size_t n = 1 + (size_t)((r >> 8) % ((r & 7) ? 16 : 4096));

    return n < left ? n : left;
}

static void check_span(const struct guard_head *head, struct guard_span span)
{
    MUST(span.at <= head->len && span.len <= head->len - span.at);
}

static bool is_token(const char *text, size_t len)
{
    static const char others[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < len; i++)
        if (!text[i] || !strchr(others, text[i]))
            return false;
    return len > 0;
}

/* Splits the head with nothing but the rules for lines, and compares. */
static void check_fields(const struct guard_head *head)
{
    const char *at = memmem(head->bytes, head->len, "\r\n", 2), *end = head->bytes + head->len;

    MUST(at);
    at += 2;
    for (uint32_t i = 0; i < head->n_fields; i++) {
        const struct guard_field *field = &head->fields[i];
        const char *name = guard_text(head, field->name), *value = guard_text(head, field->value);
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2), *colon, *v, *v_end;

        check_span(head, field->name);
        check_span(head, field->value);
        MUST(line_end && line_end > at);
        colon = memchr(at, ':', (size_t)(line_end - at));
        MUST(colon && name == at && colon == name + field->name.len);
        MUST(is_token(name, field->name.len));
        for (v = colon + 1; v < line_end && (*v == ' ' || *v == '\t');)
            v++;
        for (v_end = line_end; v_end > v && (v_end[-1] == ' ' || v_end[-1] == '\t');)
            v_end--;
        MUST(value == v && value + field->value.len == v_end);
        for (; v < v_end; v++)
            MUST((unsigned char)*v >= 0x20 ? *v != 0x7f : *v == '\t');
        at = line_end + 2;
    }
    MUST(end - at == 2 && !memcmp(at, "\r\n", 2));
}

static void check_head(const struct guard_head *head)
{
    MUST(head->len >= 4 && head->n_fields <= GUARD_FIELDS_MAX);
    MUST(head->method < METHOD_COUNT && head->minor <= 1);
    check_span(head, head->method_name);
    check_span(head, head->target);
    check_span(head, head->path);
    check_span(head, head->query);
    check_span(head, head->host);
    MUST(strlen(http_method_names[head->method]) == head->method_name.len);
    MUST(!memcmp(http_method_names[head->method], guard_text(head, head->method_name),
                 head->method_name.len));
    for (uint32_t i = 0; i < head->target.len; i++)
        MUST(guard_text(head, head->target)[i] > ' ' && guard_text(head, head->target)[i] < 0x7f);
    MUST(head->asterisk ? !head->path.len : *guard_text(head, head->path) == '/');
    MUST(!head->query.len || head->has_query);
    MUST(head->host.len || (!head->minor && !head->has_host_field && !head->absolute));
    MUST(!head->chunked || (head->minor && !head->has_content_length));
    MUST(head->has_body == (head->chunked || head->content_length > 0));
    MUST(!head->expect_continue || (head->minor && head->has_body));
    check_fields(head);
}

static void add_span(struct strbuf *out, const struct guard_head *head, struct guard_span span)
{
    strbuf_add(out, guard_text(head, span), span.len);
}

static void add_head(struct strbuf *out, const struct guard_head *head, bool full)
{
    add_span(out, head, head->method_name);
    strbuf_addc(out, ' ');
    if (head->asterisk)
        strbuf_addc(out, '*');
    add_span(out, head, head->path);
    if (head->has_query)
        strbuf_addc(out, '?');
    add_span(out, head, head->query);
    if (head->host.len)
        strbuf_adds(out, " @");
    add_span(out, head, head->host);
    if (!head->minor)
        strbuf_adds(out, " 1.0");
    if (head->has_content_length)
        strbuf_addf(out, " length=%llu", (unsigned long long)head->content_length);
    strbuf_adds(out, head->chunked ? " chunked" : "");
    strbuf_adds(out, head->close ? " close" : "");
    strbuf_adds(out, head->keep_alive ? " keep-alive" : "");
    strbuf_adds(out, head->expect_continue ? " continue" : "");
    for (uint32_t i = 0; full && i < head->n_fields; i++) {
        strbuf_adds(out, " [");
        add_span(out, head, head->fields[i].name);
        strbuf_adds(out, ": ");
        add_span(out, head, head->fields[i].value);
        strbuf_addc(out, ']');
    }
    strbuf_adds(out, "; ");
}

/* One piece of the input, and where it began in the whole. */
struct piece {
    const char *whole;
    size_t offset;
    char *bytes;
    size_t len;
    bool in_content; /* the last event was BODY */
};

static void add_event(struct guard_transcript *to, struct piece *piece, size_t fed, size_t used,
                      const struct guard_event *event, bool full)
{
    bool content = event->type == GUARD_BODY;
    size_t end = piece->offset + fed + used;

    if (piece->in_content && !content && event->type != GUARD_MORE)
        strbuf_adds(&to->events, "; ");
    switch (event->type) {
    case GUARD_MORE:
        content = piece->in_content;
        break;
    case GUARD_HEAD:
        check_head(event->head);
        MUST(event->head->len <= end);
        MUST(!memcmp(event->head->bytes, piece->whole + end - event->head->len, event->head->len));
        add_head(&to->events, event->head, full);
        break;
    case GUARD_BODY:
        MUST(event->len && event->data >= piece->bytes + fed);
        MUST(event->data + event->len <= piece->bytes + fed + used);
        strbuf_adds(&to->events, piece->in_content ? "" : "body=");
        strbuf_add(&to->events, event->data, event->len);
        break;
    case GUARD_END:
        strbuf_adds(&to->events, "end; ");
        to->requests++;
        break;
    case GUARD_FAULT:
        for (int i = GUARD_OK + 1; i < GUARD_FAULT_COUNT; i++)
            if (guard_fault((enum guard_fault_id)i) == event->fault)
                to->fault = (enum guard_fault_id)i;
        to->status = event->fault->status;
        if (full && event->head) {
            check_span(event->head, event->head->method_name);
            strbuf_adds(&to->events, "refused ");
            add_span(&to->events, event->head, event->head->method_name);
            strbuf_addc(&to->events, ' ');
            add_span(&to->events, event->head, event->head->target);
        }
        break;
    }
    piece->in_content = content;
}

/* All events of a piece; false after a fault. */
static bool feed_piece(struct guard_transcript *to, struct guard *guard, struct piece *piece,
                       bool full)
{
    /* The guard must not lean on what an event held before. */
    static struct guard_event event;
    size_t fed = 0;

    memset(&event, 0xa5, sizeof event);
    for (;;) {
        size_t used = guard_feed(guard, piece->bytes + fed, piece->len - fed, &event);

        MUST(used <= piece->len - fed);
        add_event(to, piece, fed, used, &event, full);
        fed += used;
        to->used = piece->offset + fed;
        if (event.type == GUARD_FAULT) {
            const struct guard_fault *fault = event.fault;

            MUST(guard_phase(guard) == GUARD_DEAD);
            MUST(!guard_feed(guard, "x", 1, &event));
            MUST(event.type == GUARD_FAULT && event.fault == fault);
            return false;
        }
        if (event.type == GUARD_MORE) {
            MUST(fed == piece->len);
            return true;
        }
    }
}

void guard_transcribe(struct guard_transcript *to, const struct guard_limits *limits,
                      const char *data, size_t len, bool full, guard_cut *cut, void *arg)
{
    struct piece piece = {.whole = data};
    struct guard guard;
    bool alive = true;

    *to = (struct guard_transcript){0};
    guard_init(&guard, limits);
    while (alive && piece.offset < len) {
        piece.len = cut(arg, len - piece.offset);
        MUST(piece.len && piece.len <= len - piece.offset);
        piece.bytes = malloc(piece.len);
        MUST(piece.bytes);
        memcpy(piece.bytes, data + piece.offset, piece.len);
        alive = feed_piece(to, &guard, &piece, full);
        free(piece.bytes);
        piece.offset += piece.len;
    }
    to->phase = guard_phase(&guard);
    guard_clear(&guard);
    MUST(guard_phase(&guard) == GUARD_IDLE);
    MUST(!to->events.failed);
}

void guard_transcript_free(struct guard_transcript *transcript)
{
    strbuf_free(&transcript->events);
}
