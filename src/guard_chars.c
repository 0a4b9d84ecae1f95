#include "guard_chars.h"

enum {
    T = CHAR_TOKEN | CHAR_VALUE | CHAR_TARGET, /* a token's byte that no host has */
    H = T | CHAR_HOST,
    X = H | CHAR_HEX,
    D = X | CHAR_DIGIT,
    V = CHAR_VALUE | CHAR_TARGET, /* a delimiter */
    S = V | CHAR_HOST,
};

const unsigned char guard_chars[256] = {
    ['\t'] = CHAR_VALUE,
    [' '] = CHAR_VALUE,
    ['!'] = H,
    ['"'] = V,
    ['#'] = CHAR_TOKEN | CHAR_VALUE,
    ['$'] = H,
    ['%'] = CHAR_TOKEN | CHAR_VALUE,
    ['&' ... '\''] = H,
    ['(' ... ')'] = S,
    ['*' ... '+'] = H,
    [','] = V,
    ['-' ... '.'] = H,
    ['/'] = V,
    ['0' ... '9'] = D,
    [':'] = V,
    [';'] = S,
    ['<'] = V,
    ['='] = S,
    ['>' ... '@'] = V,
    ['A' ... 'F'] = X,
    ['G' ... 'Z'] = H,
    ['[' ... ']'] = V,
    ['^'] = T,
    ['_'] = H,
    ['`'] = T,
    ['a' ... 'f'] = X,
    ['g' ... 'z'] = H,
    ['{'] = V,
    ['|'] = T,
    ['}'] = V,
    ['~'] = H,
    [0x80 ... 0xff] = CHAR_VALUE,
};
