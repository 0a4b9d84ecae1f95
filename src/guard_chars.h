/* guard_chars.h - which bytes may stand where in a request. */
#ifndef HANDOFFD_GUARD_CHARS_H
#define HANDOFFD_GUARD_CHARS_H

#include <stdbool.h>

enum {
    CHAR_TOKEN = 1,  /* tchar: RFC 9110, 5.6.2 */
    CHAR_VALUE = 2,  /* in a field's value: RFC 9110, 5.5, obs-text included */
    CHAR_TARGET = 4, /* printable ASCII but '#' and '%', which are looked at one by one */
    CHAR_HOST = 8,   /* reg-name but '%' and ',': RFC 3986, 3.2.2 */
    CHAR_HEX = 16,
    CHAR_DIGIT = 32,
};

extern const unsigned char guard_chars[256];

/* Whether the byte belongs to the class (any of them when several are or-ed). */
static inline bool char_is(char c, unsigned classes)
{
    return (guard_chars[(unsigned char)c] & classes) != 0;
}

static inline bool char_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Of a byte of CHAR_HEX. */
static inline unsigned char_hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

#endif
