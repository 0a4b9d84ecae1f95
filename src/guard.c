/* DESIGN
 *
 * A connection goes round IDLE -> IN_HEAD -> IN_BODY -> IDLE until a fault ends it in DEAD.
 *
 * The scanner of heads wants bytes that stand one behind the other.  A head that arrives in one
 * piece already does so, and nothing is copied: scanner and field table live in the event.  When it
 * ends in the middle, scanner, table and bytes move into a `guard_partial`, which then grows with
 * what arrives.  It is filled line by line: a line adds at most one field, so room for one is
 * enough, and nothing behind the head is ever copied into it.
 *
 * Lengths are cut to max_head before the scanner sees them, so a head that is too long shows as one
 * that is not done when it has used them all: no byte beyond the limit is looked at or kept. */
#include "guard.h"

#include <stdlib.h>
#include <string.h>

enum { PARTIAL_FIRST_SIZE = 512, PARTIAL_MORE_FIELDS = 16 };

struct guard_partial {
    struct guard_scan scan;
    struct guard_field *fields;
    uint32_t size; /* of `bytes` */
    uint32_t len;  /* of what has come */
    char bytes[];
};

static void *resize_by_libc(void *memory, size_t size)
{
    if (size)
        return realloc(memory, size);
    free(memory);
    return NULL;
}

static void *(*allocator)(void *memory, size_t size) = resize_by_libc;

void guard_set_allocator(void *(*resize)(void *memory, size_t size))
{
    allocator = resize ? resize : resize_by_libc;
}

void guard_init(struct guard *guard, const struct guard_limits *limits)
{
    *guard = (struct guard){.limits = limits, .phase = GUARD_IDLE};
}

static void drop_partial(struct guard *guard)
{
    if (!guard->partial)
        return;
    if (guard->partial->fields)
        allocator(guard->partial->fields, 0);
    allocator(guard->partial, 0);
    guard->partial = NULL;
}

void guard_clear(struct guard *guard)
{
    drop_partial(guard);
    guard_init(guard, guard->limits);
}

enum guard_phase guard_phase(const struct guard *guard)
{
    return (enum guard_phase)guard->phase;
}

uint64_t guard_content_left(const struct guard *guard)
{
    return guard->phase == GUARD_IN_BODY ? guard_body_content_left(&guard->body) : 0;
}

void guard_set_max_body(struct guard *guard, uint64_t max_body)
{
    guard->body.max = max_body;
}

static uint32_t max_head(const struct guard *guard)
{
    size_t max = guard->limits->max_head;

    return max < GUARD_HEAD_MAX ? (uint32_t)max : GUARD_HEAD_MAX;
}

static uint32_t max_fields(const struct guard *guard)
{
    unsigned max = guard->limits->max_fields;

    return max < GUARD_FIELDS_MAX ? max : GUARD_FIELDS_MAX;
}

static size_t give_fault(struct guard *guard, size_t used, enum guard_fault_id id,
                         struct guard_event *event)
{
    guard->phase = GUARD_DEAD;
    guard->fault = (uint8_t)id;
    event->type = GUARD_FAULT;
    event->fault = guard_fault(id);
    return used;
}

/* What the scanner has come to, after `used` bytes of those fed. */
static size_t give_head(struct guard *guard, const struct guard_scan *scan, size_t used,
                        enum guard_fault_id fault, struct guard_event *event)
{
    if (!fault && !scan->done && scan->at >= max_head(guard))
        fault = scan->line_known ? GUARD_HEAD_LONG : GUARD_LINE_LONG;
    if (fault) {
        event->head = scan->line_known ? &scan->head : NULL;
        return give_fault(guard, used, fault, event);
    }
    if (!scan->done)
        return used;
    guard_body_begin(&guard->body, &scan->head, guard->limits->max_body,
                     guard->limits->max_trailer);
    guard->phase = GUARD_IN_BODY;
    event->type = GUARD_HEAD;
    event->head = &scan->head;
    return used;
}

/* Room for `len` bytes in all and for one more field. */
static bool reserve(struct guard *guard, uint32_t len)
{
    struct guard_partial *partial = guard->partial;
    uint32_t size = partial->size, room = partial->scan.room;

    if (len > size) {
        uint32_t max = max_head(guard);

        size = size < max / 2 ? size * 2 : max;
        if (size < len)
            size = len;
        partial = allocator(partial, sizeof *partial + size);
        if (!partial)
            return false;
        partial->size = size;
        guard->partial = partial;
    }
    if (partial->scan.head.n_fields == room && room < GUARD_FIELDS_MAX) {
        struct guard_field *fields;

        room = room < GUARD_FIELDS_MAX / 2 ? room * 2 : GUARD_FIELDS_MAX;
        fields = allocator(partial->fields, room * sizeof *fields);
        if (!fields)
            return false;
        partial->fields = fields;
    }
    guard_scan_move(&partial->scan, partial->bytes, partial->fields, room);
    return true;
}

/* Moves a head that stopped in the middle out of the event and the bytes fed. */
static bool keep(struct guard *guard, const struct guard_scan *scan)
{
    uint32_t size = scan->at < PARTIAL_FIRST_SIZE ? PARTIAL_FIRST_SIZE : scan->at, room;
    struct guard_partial *partial;

    if (size > max_head(guard))
        size = max_head(guard);
    partial = allocator(NULL, sizeof *partial + size);
    if (!partial)
        return false;
    partial->scan = *scan;
    partial->size = size;
    partial->len = scan->at;
    partial->fields = NULL;
    memcpy(partial->bytes, scan->head.bytes, scan->at);
    guard->partial = partial;

    /* In the middle of a line there are the parts of one field more than have been counted. */
    room = scan->head.n_fields + 1 + PARTIAL_MORE_FIELDS;
    if (room > GUARD_FIELDS_MAX)
        room = GUARD_FIELDS_MAX;
    partial->fields = allocator(NULL, room * sizeof *partial->fields);
    if (!partial->fields)
        return false;
    memcpy(partial->fields, scan->fields,
           (scan->head.n_fields < room ? scan->head.n_fields + 1 : room) * sizeof *scan->fields);
    guard_scan_move(&partial->scan, partial->bytes, partial->fields, room);
    return true;
}

static size_t feed_partial(struct guard *guard, const char *data, size_t len,
                           struct guard_event *event)
{
    enum guard_fault_id fault = GUARD_OK;
    size_t used = 0;

    while (used < len && !fault && !guard->partial->scan.done) {
        struct guard_partial *partial = guard->partial;
        size_t max = max_head(guard), left = max > partial->len ? max - partial->len : 0;
        size_t n = len - used < left ? len - used : left;
        const char *lf = memchr(data + used, '\n', n);
        uint32_t before = partial->scan.at;

        if (!n)
            break;
        if (lf)
            n = (size_t)(lf - (data + used)) + 1;
        if (!reserve(guard, partial->len + (uint32_t)n))
            return give_fault(guard, used, GUARD_NO_MEMORY, event);
        partial = guard->partial;
        memcpy(partial->bytes + partial->len, data + used, n);
        partial->len += (uint32_t)n;
        fault = guard_scan_run(&partial->scan, partial->len);
        used += partial->scan.at - before;
    }
    return give_head(guard, &guard->partial->scan, used, fault, event);
}

static size_t feed_head(struct guard *guard, const char *data, size_t len,
                        struct guard_event *event)
{
    struct guard_scan *scan = &event->scan;
    enum guard_fault_id fault;

    if (guard->partial)
        return feed_partial(guard, data, len, event);
    guard_scan_begin(scan, data, event->fields, GUARD_FIELDS_MAX, max_fields(guard));
    fault = guard_scan_run(scan, len < max_head(guard) ? (uint32_t)len : max_head(guard));
    if (!fault && !scan->done && scan->at < max_head(guard) && !keep(guard, scan))
        return give_fault(guard, scan->at, GUARD_NO_MEMORY, event);
    return give_head(guard, scan, scan->at, fault, event);
}

/* Passes over the empty lines in front of a request (RFC 9112, 2.2); returns their length. */
static size_t skip_blank_lines(struct guard *guard, const char *data, size_t len,
                               enum guard_fault_id *fault)
{
    size_t i = 0;

    for (; i < len; i++) {
        if (guard->blank_cr) {
            guard->blank_cr = false;
            *fault = data[i] == '\n' ? GUARD_OK : GUARD_BARE_CR;
        } else if (data[i] == '\r') {
            guard->blank_cr = true;
            *fault = guard->blank_lines++ == GUARD_BLANK_LINES_MAX ? GUARD_BLANK_LINES : GUARD_OK;
        } else {
            return i;
        }
        if (*fault)
            return i + 1;
    }
    return i;
}

static size_t feed_idle(struct guard *guard, const char *data, size_t len,
                        struct guard_event *event)
{
    enum guard_fault_id fault = GUARD_OK;
    size_t used = skip_blank_lines(guard, data, len, &fault);

    if (fault)
        return give_fault(guard, used, fault, event);
    if (used == len)
        return used;
    guard->blank_lines = 0;
    guard->phase = GUARD_IN_HEAD;
    return used + feed_head(guard, data + used, len - used, event);
}

static size_t feed_body(struct guard *guard, const char *data, size_t len,
                        struct guard_event *event)
{
    struct guard_body_out out;
    size_t used = guard_body_feed(&guard->body, data, len, &out);

    switch (out.piece) {
    case GUARD_PIECE_NONE:
        break;
    case GUARD_PIECE_DATA:
        event->type = GUARD_BODY;
        event->data = out.data;
        event->len = out.len;
        break;
    case GUARD_PIECE_END:
        event->type = GUARD_END;
        guard->phase = GUARD_IDLE;
        break;
    case GUARD_PIECE_FAULT:
        return give_fault(guard, used, out.fault, event);
    }
    return used;
}

size_t guard_feed(struct guard *guard, const char *data, size_t len, struct guard_event *event)
{
    event->type = GUARD_MORE;
    event->head = NULL;
    event->data = NULL;
    event->len = 0;
    event->fault = NULL;
    if (guard->phase != GUARD_IN_HEAD)
        drop_partial(guard);
    switch (guard_phase(guard)) {
    case GUARD_IDLE:
        return feed_idle(guard, data, len, event);
    case GUARD_IN_HEAD:
        return feed_head(guard, data, len, event);
    case GUARD_IN_BODY:
        return feed_body(guard, data, len, event);
    case GUARD_DEAD:
        break;
    }
    return give_fault(guard, 0, (enum guard_fault_id)guard->fault, event);
}
