#include "byte_ranges.h"

#include "guard_chars.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Reads digits; what does not fit is as good as the largest number.  False: there is none. */
static bool read_number(const char **at, int64_t *value)
{
    const char *start = *at;

    for (*value = 0; char_is(**at, CHAR_DIGIT); (*at)++) {
        int digit = **at - '0';

        *value = *value > (INT64_MAX - digit) / 10 ? INT64_MAX : 10 * *value + digit;
    }
    return *at > start;
}

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

/* One int-range or suffix-range.  False: it is malformed.  A length of 0: it cannot be satisfied. */
static bool read_range(const char **at, int64_t size, struct byte_range *range)
{
    int64_t first, last;
    bool has_first = read_number(at, &first), has_last;

    if (*(*at)++ != '-')
        return false;
    has_last = read_number(at, &last);
    if (!has_first && !has_last)
        return false;
    if (!has_first) {
        last = last < size ? last : size;
        *range = (struct byte_range){size - last, last};
        return true;
    }
    if (has_last && last < first)
        return false;
    if (!has_last || last >= size)
        last = size - 1;
    *range = (struct byte_range){first, first < size ? last - first + 1 : 0};
    return true;
}

enum byte_ranges_result byte_ranges_read(const char *value, int64_t size,
                                         struct byte_range ranges[BYTE_RANGES_MAX], unsigned *n)
{
    int64_t sum = 0;
    unsigned seen = 0;

    *n = 0;
    if (strncasecmp(value, "bytes=", 6) != 0)
        return BYTE_RANGES_NONE;
    for (value += 6;; value++) {
        struct byte_range range;

        skip_blanks(&value);
        if (*value && *value != ',') {
            if (!read_range(&value, size, &range) || seen++ == BYTE_RANGES_MAX)
                return BYTE_RANGES_NONE;
            if (range.length)
                ranges[(*n)++] = range;
            sum += range.length; /* at most BYTE_RANGES_MAX * size, and sizes of files are small */
            if (sum > size)
                return BYTE_RANGES_NONE;
            skip_blanks(&value);
        }
        if (!*value)
            break;
        if (*value != ',')
            return BYTE_RANGES_NONE;
    }
    if (!seen)
        return BYTE_RANGES_NONE;
    return *n ? BYTE_RANGES_FOUND : BYTE_RANGES_UNSATISFIED;
}
