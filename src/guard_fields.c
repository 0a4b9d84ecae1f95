#include "guard_fields.h"

#include "guard_chars.h"
#include "guard_target.h"

#include <string.h>
#include <strings.h>

static bool equals(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && !strncasecmp(text, word, len);
}

/* Cuts the next element off a comma-separated list (RFC 9110, 5.6.1), without the blanks around
 * it.  False when none is left; "" is one empty element. */
static bool next_element(const char **list, const char *end, const char **element, size_t *len)
{
    const char *start = *list, *stop;

    if (!start)
        return false;
    stop = memchr(start, ',', (size_t)(end - start));
    *list = stop ? stop + 1 : NULL;
    if (!stop)
        stop = end;
    while (start < stop && char_is_blank(*start))
        start++;
    while (stop > start && char_is_blank(stop[-1]))
        stop--;
    *element = start;
    *len = (size_t)(stop - start);
    return true;
}

static enum guard_fault_id read_host(struct guard_head *head, const char *value, size_t len,
                                     struct guard_span span)
{
    if (head->has_host_field)
        return GUARD_HOST_TWICE;
    head->has_host_field = true;
    if (!guard_authority_valid(value, len))
        return GUARD_HOST_SYNTAX;
    if (!head->absolute)
        head->host = span;
    return GUARD_OK;
}

static enum guard_fault_id read_length(struct guard_head *head, const char *value, size_t len)
{
    uint64_t n = 0;

    if (head->has_content_length)
        return GUARD_LENGTH_TWICE;
    head->has_content_length = true;
    for (size_t i = 0; i < len; i++)
        if (!char_is(value[i], CHAR_DIGIT))
            return GUARD_LENGTH_SYNTAX;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(value[i] - '0');

        if (n > ((uint64_t)INT64_MAX - digit) / 10)
            return GUARD_LENGTH_OVERFLOW;
        n = n * 10 + digit;
    }
    head->content_length = n;
    return len ? GUARD_OK : GUARD_LENGTH_SYNTAX;
}

/* RFC 9112 asks for 501 when a coding is not known (6.1) and for 400 when "chunked" is not the last
 * one (6.3) or comes twice (6.1).  Without any "chunked" both rules fit: 501 says what is wrong. */
static enum guard_fault_id read_coding(struct guard_head *head, const char *value, size_t len)
{
    const char *element, *end = value + len;
    bool unknown = false;
    size_t n;

    if (head->chunked)
        return GUARD_CODING_AGAIN;
    while (next_element(&value, end, &element, &n)) {
        size_t name = 0, rest;

        while (name < n && char_is(element[name], CHAR_TOKEN))
            name++;
        for (rest = name; rest < n && char_is_blank(element[rest]);)
            rest++;
        if (!name || (rest < n && element[rest] != ';'))
            return GUARD_CODING_SYNTAX;
        if (head->chunked)
            return GUARD_CODING_AGAIN;
        if (!equals(element, name, "chunked"))
            unknown = true;
        else if (rest < n)
            return GUARD_CODING_SYNTAX; /* "chunked" has no parameters: RFC 9112, 7.1 */
        else
            head->chunked = true;
    }
    return unknown ? GUARD_CODING_UNKNOWN : GUARD_OK;
}

static void read_connection(struct guard_head *head, const char *value, size_t len)
{
    const char *option, *end = value + len;
    size_t n;

    while (next_element(&value, end, &option, &n)) {
        head->close |= equals(option, n, "close");
        head->keep_alive |= equals(option, n, "keep-alive");
    }
}

enum guard_fault_id guard_fields_read(struct guard_head *head, const struct guard_field *field)
{
    const char *name = guard_text(head, field->name), *value = guard_text(head, field->value);
    size_t len = field->value.len;

    switch (field->name.len) {
    case sizeof "Host" - 1:
        if (!strncasecmp(name, "Host", 4))
            return read_host(head, value, len, field->value);
        break;
    case sizeof "Expect" - 1:
        if (strncasecmp(name, "Expect", 6) != 0)
            break;
        head->expect_continue = true;
        return equals(value, len, "100-continue") ? GUARD_OK : GUARD_EXPECTATION;
    case sizeof "Connection" - 1:
        if (!strncasecmp(name, "Connection", 10))
            read_connection(head, value, len);
        break;
    case sizeof "Content-Length" - 1:
        if (!strncasecmp(name, "Content-Length", 14))
            return read_length(head, value, len);
        break;
    case sizeof "Transfer-Encoding" - 1:
        if (!strncasecmp(name, "Transfer-Encoding", 17))
            return read_coding(head, value, len);
        break;
    default:
        break;
    }
    return GUARD_OK;
}

enum guard_fault_id guard_fields_finish(struct guard_head *head)
{
    if (head->minor && !head->has_host_field)
        return GUARD_HOST_MISSING;
    if (head->chunked && !head->minor)
        return GUARD_CODING_OLD;
    if (head->chunked && head->has_content_length)
        return GUARD_LENGTH_AND_CODING;
    head->has_body = head->chunked || head->content_length > 0;
    head->close |= !head->minor && !head->keep_alive;
    /* HTTP/1.0 knows no 100 (RFC 9110, 10.1.1), and without a body nobody waits for it. */
    head->expect_continue &= head->minor && head->has_body;
    return GUARD_OK;
}
