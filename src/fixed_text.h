/* fixed_text.h - text that is put together, piece by piece, in a buffer of fixed size.
 *
 * Here and not in a .c file, as it is on the way of every answer and of every line of the access log. */
#ifndef HANDOFFD_FIXED_TEXT_H
#define HANDOFFD_FIXED_TEXT_H

#include "clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct fixed_text {
    char *at;
    char *end;
    bool is_cut; /* something did not fit; what did is there */
};

static inline void put(struct fixed_text *out, const char *text, size_t len)
{
    size_t room = (size_t)(out->end - out->at);

    if (len > room) {
        len = room;
        out->is_cut = true;
    }
    if (len)
        memcpy(out->at, text, len);
    out->at += len;
}

static inline void put_string(struct fixed_text *out, const char *text)
{
    put(out, text, strlen(text));
}

#define PUT_LITERAL(out, literal) put(out, literal, sizeof(literal) - 1)

static inline void put_number(struct fixed_text *out, uint64_t number)
{
    char digits[20];
    size_t i = sizeof digits;

    do
        digits[--i] = (char)('0' + number % 10);
    while (number /= 10);
    put(out, digits + i, sizeof digits - i);
}

/* Milliseconds with three digits behind the point; less than nothing is nothing. */
static inline void put_ms(struct fixed_text *out, int64_t ns)
{
    uint64_t us = ns > 0 ? (uint64_t)(ns / NS_PER_US) : 0;
    const char fraction[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                             (char)('0' + us % 10)};

    put_number(out, us / 1000);
    put(out, fraction, sizeof fraction);
}

#endif
