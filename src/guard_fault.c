#include "guard_fault.h"

#include <assert.h>

static const struct guard_fault faults[GUARD_FAULT_COUNT] = {
    [GUARD_NUL] = {400, "There is a NUL byte in the request (RFC 9110, 5.5)."},
    [GUARD_BARE_CR] = {400, "A CR is not followed by LF (RFC 9112, 2.2)."},
    [GUARD_BARE_LF] = {400, "A line ends in LF without CR (RFC 9112, 2.2)."},
    [GUARD_BLANK_LINES] = {400, "Too many empty lines precede the request (RFC 9112, 2.2)."},

    [GUARD_METHOD_SYNTAX] = {400, "This does not begin with a method and a space (RFC 9112, 3.1)."},
    [GUARD_METHOD_UNKNOWN] = {501, "The method is not implemented (RFC 9110, 9.1)."},
    [GUARD_METHOD_LONG] = {501, "The method is longer than any that is implemented (RFC 9112, 3)."},
    [GUARD_METHOD_TRACE] = {405, "TRACE is not allowed (RFC 9110, 9.3.8)."},
    [GUARD_METHOD_CONNECT] = {501, "CONNECT is for proxies (RFC 9110, 9.3.6)."},
    [GUARD_TARGET_EMPTY] = {400, "The request target is empty (RFC 9112, 3)."},
    [GUARD_TARGET_BYTE] = {400,
                           "A byte of the request target is not printable ASCII (RFC 9112, 3.2)."},
    [GUARD_TARGET_FRAGMENT] = {400, "The request target has a fragment (RFC 9112, 3.2)."},
    [GUARD_TARGET_ESCAPE] =
        {400, "A percent sign is not followed by two hexadecimal digits (RFC 3986, 2.1)."},
    [GUARD_TARGET_NUL] = {400, "The request target holds an encoded NUL (RFC 3986, 7.3)."},
    [GUARD_TARGET_FORM] = {400,
                           "The request target is neither a path nor an http URI (RFC 9112, 3.2)."},
    [GUARD_TARGET_SCHEME] = {421, "https is not spoken on this connection (RFC 9110, 7.4)."},
    [GUARD_TARGET_ASTERISK] = {400,
                               "Only OPTIONS may have the request target \"*\" (RFC 9112, 3.2.4)."},
    [GUARD_TARGET_AUTHORITY] =
        {400, "The authority in the request target is malformed (RFC 9110, 4.2)."},
    [GUARD_VERSION_MISSING] = {400, "The request line has no protocol version (RFC 9112, 2.3)."},
    [GUARD_VERSION_SYNTAX] = {400, "The protocol version is malformed (RFC 9112, 2.3)."},
    [GUARD_VERSION_MAJOR] = {505, "Only HTTP/1.0 and HTTP/1.1 are spoken here (RFC 9110, 15.6.6)."},
    [GUARD_LINE_LONG] = {414, "The request line has too many bytes (RFC 9112, 3)."},

    [GUARD_HEAD_LONG] = {431, "The request line and the fields have too many bytes (RFC 6585, 5)."},
    [GUARD_FIELD_COUNT] = {431, "There are too many fields (RFC 6585, 5)."},
    [GUARD_FIELD_FOLDED] = {400, "A line of fields begins with a blank (RFC 9112, 5.2)."},
    [GUARD_NAME_EMPTY] = {400, "A field has no name (RFC 9112, 5)."},
    [GUARD_NAME_BLANK] = {400,
                          "There is a blank in or behind the name of a field (RFC 9112, 5.1)."},
    [GUARD_NAME_BYTE] = {400, "A byte is not allowed in the name of a field (RFC 9110, 5.1)."},
    [GUARD_NAME_ALONE] = {400, "A line of fields has no colon (RFC 9112, 5)."},
    [GUARD_VALUE_BYTE] = {400,
                          "There is a control character in the value of a field (RFC 9110, 5.5)."},
    [GUARD_HOST_MISSING] = {400, "The Host field is missing (RFC 9112, 3.2)."},
    [GUARD_HOST_TWICE] = {400, "There is more than one Host field (RFC 9112, 3.2)."},
    [GUARD_HOST_SYNTAX] = {400, "The Host field is malformed (RFC 9112, 3.2)."},
    [GUARD_LENGTH_TWICE] = {400, "There is more than one Content-Length field (RFC 9112, 6.3)."},
    [GUARD_LENGTH_SYNTAX] = {400, "Content-Length is not a decimal number (RFC 9110, 8.6)."},
    [GUARD_LENGTH_OVERFLOW] = {400, "Content-Length does not fit in 63 bits (RFC 9110, 8.6)."},
    [GUARD_LENGTH_AND_CODING] =
        {400, "There are both Content-Length and Transfer-Encoding (RFC 9112, 6.1)."},
    [GUARD_CODING_UNKNOWN] =
        {501, "Only the transfer coding \"chunked\" is implemented (RFC 9112, 6.1)."},
    [GUARD_CODING_SYNTAX] = {400, "Transfer-Encoding is malformed (RFC 9112, 6.1)."},
    [GUARD_CODING_AGAIN] = {400, "\"chunked\" is not the last transfer coding (RFC 9112, 6.3)."},
    [GUARD_CODING_OLD] = {400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112, 6.1)."},
    [GUARD_EXPECTATION] = {417,
                           "Only the expectation \"100-continue\" can be met (RFC 9110, 10.1.1)."},

    [GUARD_BODY_LONG] = {413, "The body has too many bytes (RFC 9110, 15.5.14)."},
    [GUARD_CHUNK_SIZE] = {400, "The size of a chunk is not a hexadecimal number (RFC 9112, 7.1)."},
    [GUARD_CHUNK_OVERFLOW] = {400, "The size of a chunk does not fit in 63 bits (RFC 9112, 7.1)."},
    [GUARD_CHUNK_LINE_LONG] = {400,
                               "The line with the size of a chunk is too long (RFC 9112, 7.1.1)."},
    [GUARD_CHUNK_EXTENSION] = {400, "A chunk extension is malformed (RFC 9112, 7.1.1)."},
    [GUARD_CHUNK_END] = {400, "A chunk is not followed by CR LF (RFC 9112, 7.1)."},
    [GUARD_CHUNK_WASTE] = {400, "The chunks are too small for what they hold (RFC 9112, 7.1.1)."},
    [GUARD_TRAILER_LONG] = {400, "The trailer fields are too long (RFC 9112, 7.1.2)."},

    [GUARD_NO_MEMORY] = {503, "There is no memory left for this request."},
};

const struct guard_fault *guard_fault(enum guard_fault_id id)
{
    assert(id > GUARD_OK && id < GUARD_FAULT_COUNT);
    return &faults[id];
}
