/* DESIGN
 *
 * A machine with one state per kind of byte that may come next.  It stops at any byte and goes on
 * later, and what it decides depends on the bytes alone, not on how they were cut: each fault
 * belongs to the first byte that makes it certain.  Runs of like bytes are eaten in tight loops.
 *
 * The machine checks bytes and cuts words.  What a word means is decided once, when its line ends:
 * the request line by guard_target_read and http_method_names, a field by guard_fields_read.  These
 * look at the line again a fixed number of times, so the whole stays linear. */
#include "guard_head.h"

#include "guard_chars.h"
#include "guard_fields.h"
#include "guard_target.h"

#include <string.h>
#include <strings.h>

/* A method longer than this is not one of ours, whatever follows. */
enum { METHOD_MAX_LEN = 32 };

enum state {
    IN_METHOD,
    IN_TARGET,
    IN_ESCAPE, /* the first of the two digits */
    IN_ESCAPE_SECOND,
    IN_VERSION,
    AT_LINE_LF,
    AT_FIELD,
    IN_NAME,
    BEFORE_VALUE,
    IN_VALUE,
    AT_VALUE_LF,
    AT_LAST_LF,
};

const struct guard_field *guard_head_find(const struct guard_head *head, const char *name)
{
    size_t len = strlen(name);

    for (uint32_t i = 0; i < head->n_fields; i++)
        if (head->fields[i].name.len == len &&
            !strncasecmp(guard_text(head, head->fields[i].name), name, len))
            return &head->fields[i];
    return NULL;
}

void guard_scan_begin(struct guard_scan *scan, const char *bytes, struct guard_field *fields,
                      uint32_t room, uint32_t max_fields)
{
    *scan = (struct guard_scan){.max_fields = max_fields, .state = IN_METHOD};
    scan->head.method = METHOD_UNKNOWN;
    guard_scan_move(scan, bytes, fields, room);
}

void guard_scan_move(struct guard_scan *scan, const char *bytes, struct guard_field *fields,
                     uint32_t room)
{
    scan->head.bytes = bytes;
    scan->head.fields = scan->fields = fields;
    scan->room = room;
}

/* Moves behind the run of bytes of a class; false at `end`. */
static bool skip(struct guard_scan *scan, uint32_t end, unsigned class)
{
    const char *bytes = scan->head.bytes;
    uint32_t at = scan->at;

    while (at < end && char_is(bytes[at], class))
        at++;
    scan->at = at;
    return at < end;
}

static struct guard_span word(const struct guard_scan *scan)
{
    return (struct guard_span){scan->mark, scan->at - scan->mark};
}

static enum guard_fault_id in_method(struct guard_scan *scan, uint32_t end)
{
    bool more = skip(scan, end < METHOD_MAX_LEN + 1 ? end : METHOD_MAX_LEN + 1, CHAR_TOKEN);
    char c;

    if (scan->at > METHOD_MAX_LEN)
        return GUARD_METHOD_LONG;
    if (!more)
        return GUARD_OK;
    c = scan->head.bytes[scan->at];
    scan->head.method_name = word(scan);
    scan->at++;
    if (c != ' ' || !scan->head.method_name.len)
        return guard_bad_byte(c, GUARD_METHOD_SYNTAX);
    scan->mark = scan->at;
    scan->state = IN_TARGET;
    return GUARD_OK;
}

static enum guard_fault_id in_target(struct guard_scan *scan, uint32_t end)
{
    char c;

    if (!skip(scan, end, CHAR_TARGET))
        return GUARD_OK;
    c = scan->head.bytes[scan->at];
    scan->head.target = word(scan);
    scan->at++;
    if (c == '%') {
        scan->state = IN_ESCAPE;
        return GUARD_OK;
    }
    if (c == '\r')
        return GUARD_VERSION_MISSING;
    if (c == '#')
        return GUARD_TARGET_FRAGMENT;
    if (c != ' ')
        return guard_bad_byte(c, GUARD_TARGET_BYTE);
    if (!scan->head.target.len)
        return GUARD_TARGET_EMPTY;
    scan->state = IN_VERSION;
    return GUARD_OK;
}

static enum guard_fault_id in_escape(struct guard_scan *scan)
{
    char c = scan->head.bytes[scan->at++];

    if (!char_is(c, CHAR_HEX))
        return guard_bad_byte(c, GUARD_TARGET_ESCAPE);
    if (scan->state == IN_ESCAPE) {
        scan->escape_first = (uint8_t)c;
        scan->state = IN_ESCAPE_SECOND;
        return GUARD_OK;
    }
    scan->state = IN_TARGET;
    return c == '0' && scan->escape_first == '0' ? GUARD_TARGET_NUL : GUARD_OK;
}

/* Nearly every request line ends like this, in one piece. */
static bool is_usual_version(struct guard_scan *scan, uint32_t end)
{
    static const char usual[] = "HTTP/1.1\r";
    uint32_t len = sizeof usual - 1;

    if (scan->version_at || end - scan->at < len ||
        memcmp(scan->head.bytes + scan->at, usual, len) != 0)
        return false;
    scan->at += len;
    scan->head.minor = 1;
    scan->state = AT_LINE_LF;
    return true;
}

/* Any other is looked at byte by byte.  Another major version is told by its digit, before
 * anything else can be wrong with it. */
static enum guard_fault_id in_version(struct guard_scan *scan, uint32_t end)
{
    static const char pattern[] = "HTTP/1.1\r";
    enum { MAJOR = 5, MINOR = 7, END = 8 };
    unsigned i;
    char c;

    if (is_usual_version(scan, end))
        return GUARD_OK;
    i = scan->version_at++;
    c = scan->head.bytes[scan->at++];

    if (i == MAJOR && char_is(c, CHAR_DIGIT) && c != '1')
        return GUARD_VERSION_MAJOR;
    if (i == MINOR ? !char_is(c, CHAR_DIGIT) : c != pattern[i])
        return guard_bad_byte(c, GUARD_VERSION_SYNTAX);
    if (i == MINOR)
        scan->head.minor = c != '0';
    if (i == END)
        scan->state = AT_LINE_LF;
    return GUARD_OK;
}

static enum guard_fault_id find_method(struct guard_head *head)
{
    const char *name = guard_text(head, head->method_name);
    size_t len = head->method_name.len;
    int i = 0;

    while (i < METHOD_COUNT &&
           (strncmp(http_method_names[i], name, len) != 0 || http_method_names[i][len]))
        i++;
    head->method = (enum http_method)i;
    if (i < METHOD_COUNT)
        return GUARD_OK;
    if (len == 5 && !memcmp(name, "TRACE", len))
        return GUARD_METHOD_TRACE;
    /* An origin server need not have CONNECT (RFC 9110, 9.3.6): to this one it is unknown. */
    if (len == 7 && !memcmp(name, "CONNECT", len))
        return GUARD_METHOD_CONNECT;
    return GUARD_METHOD_UNKNOWN;
}

static enum guard_fault_id at_line_lf(struct guard_scan *scan)
{
    enum guard_fault_id fault;

    if (scan->head.bytes[scan->at++] != '\n')
        return GUARD_BARE_CR;
    scan->state = AT_FIELD;
    scan->line_known = true;
    fault = find_method(&scan->head);
    return fault ? fault : guard_target_read(&scan->head);
}

static enum guard_fault_id at_field(struct guard_scan *scan)
{
    char c = scan->head.bytes[scan->at];

    scan->mark = scan->at++;
    if (c == '\r') {
        scan->state = AT_LAST_LF;
        return GUARD_OK;
    }
    if (char_is_blank(c))
        return GUARD_FIELD_FOLDED;
    if (c == ':')
        return GUARD_NAME_EMPTY;
    if (!char_is(c, CHAR_TOKEN))
        return guard_bad_byte(c, GUARD_NAME_BYTE);
    if (scan->head.n_fields >= scan->max_fields)
        return GUARD_FIELD_COUNT;
    scan->state = IN_NAME;
    return GUARD_OK;
}

static enum guard_fault_id in_name(struct guard_scan *scan, uint32_t end)
{
    char c;

    if (!skip(scan, end, CHAR_TOKEN))
        return GUARD_OK;
    c = scan->head.bytes[scan->at];
    scan->fields[scan->head.n_fields].name = word(scan);
    scan->at++;
    if (c == ':') {
        scan->state = BEFORE_VALUE;
        return GUARD_OK;
    }
    if (char_is_blank(c))
        return GUARD_NAME_BLANK;
    return c == '\r' ? GUARD_NAME_ALONE : guard_bad_byte(c, GUARD_NAME_BYTE);
}

static enum guard_fault_id before_value(struct guard_scan *scan, uint32_t end)
{
    const char *bytes = scan->head.bytes;

    while (scan->at < end && char_is_blank(bytes[scan->at]))
        scan->at++;
    scan->mark = scan->at;
    if (scan->at < end)
        scan->state = IN_VALUE;
    return GUARD_OK;
}

/* Values are most of a head: moves on eight bytes at a time while each of them is at least a space
 * and not DEL.  The byte that stops this, a tab or an end, is left to skip(). */
static void skip_words(struct guard_scan *scan, uint32_t end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint32_t at = scan->at;

    for (; end - at >= sizeof ones; at += sizeof ones) {
        uint64_t bytes, del;

        memcpy(&bytes, scan->head.bytes + at, sizeof bytes);
        del = bytes ^ ones * 0x7f;
        if ((((bytes - ones * ' ') & ~bytes) | ((del - ones) & ~del)) & highs)
            break;
    }
    scan->at = at;
}

static enum guard_fault_id in_value(struct guard_scan *scan, uint32_t end)
{
    const char *bytes = scan->head.bytes;
    struct guard_span value;

    skip_words(scan, end);
    if (!skip(scan, end, CHAR_VALUE))
        return GUARD_OK;
    value = word(scan);
    if (bytes[scan->at++] != '\r')
        return guard_bad_byte(bytes[scan->at - 1], GUARD_VALUE_BYTE);
    while (value.len && char_is_blank(bytes[value.at + value.len - 1]))
        value.len--;
    scan->fields[scan->head.n_fields].value = value;
    scan->state = AT_VALUE_LF;
    return GUARD_OK;
}

static enum guard_fault_id at_value_lf(struct guard_scan *scan)
{
    if (scan->head.bytes[scan->at++] != '\n')
        return GUARD_BARE_CR;
    scan->state = AT_FIELD;
    return guard_fields_read(&scan->head, &scan->fields[scan->head.n_fields++]);
}

static enum guard_fault_id at_last_lf(struct guard_scan *scan)
{
    enum guard_fault_id fault;

    if (scan->head.bytes[scan->at++] != '\n')
        return GUARD_BARE_CR;
    fault = guard_fields_finish(&scan->head);
    scan->done = !fault;
    return fault;
}

static enum guard_fault_id step(struct guard_scan *scan, uint32_t end)
{
    switch ((enum state)scan->state) {
    case IN_METHOD:
        return in_method(scan, end);
    case IN_TARGET:
        return in_target(scan, end);
    case IN_ESCAPE:
    case IN_ESCAPE_SECOND:
        return in_escape(scan);
    case IN_VERSION:
        return in_version(scan, end);
    case AT_LINE_LF:
        return at_line_lf(scan);
    case AT_FIELD:
        return at_field(scan);
    case IN_NAME:
        return in_name(scan, end);
    case BEFORE_VALUE:
        return before_value(scan, end);
    case IN_VALUE:
        return in_value(scan, end);
    case AT_VALUE_LF:
        return at_value_lf(scan);
    case AT_LAST_LF:
        return at_last_lf(scan);
    }
    return GUARD_OK;
}

enum guard_fault_id guard_scan_run(struct guard_scan *scan, uint32_t end)
{
    enum guard_fault_id fault = GUARD_OK;

    while (!fault && !scan->done && scan->at < end)
        fault = step(scan, end);
    scan->head.len = scan->at;
    return fault;
}
