#include "trace_context.h"

#include "arena.h"
#include "guard_head.h"

#include <string.h>
#include <strings.h>

/* "00-" trace id "-" parent id "-" flags: where the parts are, and how long. */
enum {
    VERSION_LEN = 2,
    ID_AT = 3,
    ID_LEN = 32,
    PARENT_AT = 36,
    PARENT_LEN = 16,
    FLAGS_AT = 53,
    FLAGS_LEN = 2,
    WHOLE_LEN = 55,
};

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != '0')
            return false;
    return true;
}

bool trace_context_is_valid(const char *p, size_t len)
{
    if (len < WHOLE_LEN || p[ID_AT - 1] != '-' || p[PARENT_AT - 1] != '-' || p[FLAGS_AT - 1] != '-')
        return false;
    if (!is_hex(p, VERSION_LEN) || !is_hex(p + ID_AT, ID_LEN) ||
        !is_hex(p + PARENT_AT, PARENT_LEN) || !is_hex(p + FLAGS_AT, FLAGS_LEN))
        return false;
    if (is_zero(p + ID_AT, ID_LEN) || is_zero(p + PARENT_AT, PARENT_LEN) || !memcmp(p, "ff", 2))
        return false;
    /* Version 00 ends here; later ones may go on behind another dash. */
    if (len > WHOLE_LEN && (is_zero(p, VERSION_LEN) || p[WHOLE_LEN] != '-'))
        return false;
    return true;
}

static bool is_named(const struct guard_head *head, const struct guard_field *field,
                     const char *name, size_t len)
{
    return field->name.len == len && !strncasecmp(guard_text(head, field->name), name, len);
}

/* The only field traceparent; NULL: none, or several. */
static const struct guard_field *find_parent(const struct guard_head *head)
{
    static const char name[] = "traceparent";
    const struct guard_field *found = NULL;

    for (uint32_t i = 0; i < head->n_fields; i++) {
        if (!is_named(head, &head->fields[i], name, sizeof name - 1))
            continue;
        if (found)
            return NULL;
        found = &head->fields[i];
    }
    return found;
}

enum { MAX_STATE = 512 };

/* Several fields are one list (RFC 9110, 5.3).  A list that is too long is dropped as a whole. */
static const char *join_state(const struct guard_head *head, struct arena *arena)
{
    static const char name[] = "tracestate";
    char state[MAX_STATE];
    size_t used = 0;

    for (uint32_t i = 0; i < head->n_fields; i++) {
        struct guard_span value = head->fields[i].value;

        if (!is_named(head, &head->fields[i], name, sizeof name - 1) || !value.len)
            continue;
        if (used + (used > 0) + value.len > sizeof state)
            return NULL;
        if (used)
            state[used++] = ',';
        memcpy(state + used, guard_text(head, value), value.len);
        used += value.len;
    }
    return used ? arena_strndup(arena, state, used) : NULL;
}

void trace_context_read(struct trace_context *trace, const struct guard_head *head,
                        struct arena *arena)
{
    const struct guard_field *field = find_parent(head);
    const char *parent = field ? guard_text(head, field->value) : NULL;

    if (!field || !trace_context_is_valid(parent, field->value.len))
        return;
    trace->parent = arena_strndup(arena, parent, field->value.len);
    trace->id = arena_strndup(arena, parent + ID_AT, ID_LEN);
    if (!trace->parent || !trace->id)
        *trace = (struct trace_context){0};
    else
        trace->state = join_state(head, arena);
}
