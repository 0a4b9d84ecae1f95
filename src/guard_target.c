#include "guard_target.h"

#include "guard_chars.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool port_valid(const char *text, size_t len)
{
    unsigned port = 0;

    for (size_t i = 0; i < len; i++) {
        if (!char_is(text[i], CHAR_DIGIT))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

/* The length of "[address]" or 0. */
static size_t bracketed_len(const char *text, size_t len)
{
    const char *end = memchr(text, ']', len);
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    size_t n;

    if (!end)
        return 0;
    n = (size_t)(end - text) - 1;
    if (n >= sizeof address)
        return 0;
    memcpy(address, text + 1, n);
    address[n] = '\0';
    /* A NUL would hide the rest from inet_pton, but no byte of a target or field is one. */
    return inet_pton(AF_INET6, address, &parsed) == 1 ? n + 2 : 0;
}

/* The length of the reg-name or IPv4 address that the text begins with; 0: none, or malformed. */
static size_t name_len(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && text[i] != ':')
        if (char_is(text[i], CHAR_HOST))
            i++;
        else if (text[i] == '%' && len - i > 2 && char_is(text[i + 1], CHAR_HEX) &&
                 char_is(text[i + 2], CHAR_HEX) && (text[i + 1] != '0' || text[i + 2] != '0'))
            i += 3;
        else
            return 0;
    return i;
}

bool guard_authority_valid(const char *text, size_t len)
{
    size_t host;

    if (!len)
        return false;
    host = text[0] == '[' ? bracketed_len(text, len) : name_len(text, len);
    if (!host)
        return false;
    return host == len || (text[host] == ':' && port_valid(text + host + 1, len - host - 1));
}

static bool has_scheme(const char *text, size_t len, const char *scheme)
{
    size_t n = strlen(scheme);

    return len > n && !strncasecmp(text, scheme, n);
}

/* Sets path and query from the `len` bytes at `at`, which begin with '/', or with '?' or not at
 * all when `slash` (the offset of any '/') stands in for an empty path. */
static void split(struct guard_head *head, uint32_t at, uint32_t len, uint32_t slash)
{
    const char *text = head->bytes + at;
    const char *mark = memchr(text, '?', len);
    uint32_t path = mark ? (uint32_t)(mark - text) : len;

    head->path = path ? (struct guard_span){at, path} : (struct guard_span){slash, 1};
    head->has_query = mark != NULL;
    if (mark)
        head->query = (struct guard_span){at + path + 1, len - path - 1};
}

static enum guard_fault_id read_absolute(struct guard_head *head)
{
    const char *text = guard_text(head, head->target);
    uint32_t len = head->target.len, scheme = sizeof "http://" - 1, end;

    if (has_scheme(text, len, "https://"))
        return GUARD_TARGET_SCHEME;
    if (!has_scheme(text, len, "http://"))
        return GUARD_TARGET_FORM;
    for (end = scheme; end < len && text[end] != '/' && text[end] != '?';)
        end++;
    if (!guard_authority_valid(text + scheme, end - scheme))
        return GUARD_TARGET_AUTHORITY;
    head->absolute = true;
    head->host = (struct guard_span){head->target.at + scheme, end - scheme};
    /* With neither path nor query it is the absolute-form of "*" (RFC 9112, 3.2.4). */
    head->asterisk = end == len && head->method == METHOD_OPTIONS;
    if (!head->asterisk)
        split(head, head->target.at + end, len - end, head->host.at - 1);
    return GUARD_OK;
}

enum guard_fault_id guard_target_read(struct guard_head *head)
{
    const char *text = guard_text(head, head->target);

    if (text[0] == '/') {
        split(head, head->target.at, head->target.len, head->target.at);
        return GUARD_OK;
    }
    if (text[0] != '*')
        return read_absolute(head);
    if (head->target.len > 1)
        return GUARD_TARGET_FORM;
    head->asterisk = head->method == METHOD_OPTIONS;
    return head->asterisk ? GUARD_OK : GUARD_TARGET_ASTERISK;
}
