#include "json_text.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) (text), sizeof(text) - 1

struct row {
    const char *bytes;
    size_t len;
    const char *clean; /* NULL: it is good as it is */
};

#define X "\xef\xbf\xbd" /* U+FFFD */

static const struct row rows[] = {
    {BYTES(""), NULL},
    {BYTES("plain"), NULL},
    {BYTES("\x01\x1f\x7f"), NULL},
    {BYTES("\xc2\x80"), NULL}, /* the first and the last of each length */
    {BYTES("\xdf\xbf"), NULL},
    {BYTES("\xe0\xa0\x80"), NULL},
    {BYTES("\xef\xbf\xbf"), NULL},
    {BYTES("\xf0\x90\x80\x80"), NULL},
    {BYTES("\xf4\x8f\xbf\xbf"), NULL},
    {BYTES("\xed\x9f\xbf"), NULL}, /* around the surrogates */
    {BYTES("\xee\x80\x80"), NULL},
    {BYTES("\xe1\x80\x80\xec\xbf\xbf"), NULL},
    {BYTES("\xf1\x80\x80\x80\xf3\xbf\xbf\xbf"), NULL},
    {BYTES("a\xc3\xa4z\xe2\x82\xac\xf0\x9f\x98\x80"), NULL},
    {BYTES("a\0b"), "a" X "b"},
    {BYTES("\x80"), X},
    {BYTES("\xbf"), X},
    {BYTES("a\xffz"), "a" X "z"},
    {BYTES("\xfe"), X},
    {BYTES("\xc0\x80"), X X}, /* longer than need be */
    {BYTES("\xc1\xbf"), X X},
    {BYTES("\xe0\x80\x80"), X X X},
    {BYTES("\xe0\x9f\xbf"), X X X},
    {BYTES("\xf0\x80\x80\x80"), X X X X},
    {BYTES("\xf0\x8f\xbf\xbf"), X X X X},
    {BYTES("\xed\xa0\x80"), X X X}, /* surrogates */
    {BYTES("\xed\xbf\xbf"), X X X},
    {BYTES("\xf4\x90\x80\x80"), X X X X}, /* past U+10FFFF */
    {BYTES("\xf5\x80\x80\x80"), X X X X},
    {BYTES("\xc3"), X}, /* cut off */
    {BYTES("\xe2\x82"), X X},
    {BYTES("\xf0\x9f\x98"), X X X},
    {BYTES("\xc3z"), X "z"},
    {BYTES("\xe2\x82z"), X X "z"},
    {BYTES("\xe2z\xac"), X "z" X},
    {BYTES("\xf0\x9f\x98z"), X X X "z"},
    {BYTES("\xf0\x9fz\x80"), X X "z" X},
    {BYTES("\xc3\xc3\xa4"), X "\xc3\xa4"},
    {BYTES("\xf8\x88\x80\x80\x80"), X X X X X},
};

/* A copy of just that size, so that the address sanitizer sees a byte too far. */
static char *exact(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);

    memcpy(copy, bytes, len);
    return copy;
}

START_TEST(utf8_is_told_from_other_bytes)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *bytes = exact(rows[i].bytes, rows[i].len);

        ck_assert_msg(json_text_is_utf8(bytes, rows[i].len) == !rows[i].clean, "row %zu", i);
        free(bytes);
    }
}
END_TEST

START_TEST(other_bytes_are_replaced_one_by_one)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *bytes = exact(rows[i].bytes, rows[i].len);
        const char *expected = rows[i].clean ? rows[i].clean : rows[i].bytes;
        json_t *text = json_text(bytes, rows[i].len);

        ck_assert_msg(json_is_string(text), "row %zu", i);
        ck_assert_msg(!strcmp(json_string_value(text), expected), "row %zu: %s", i,
                      json_string_value(text));
        ck_assert_uint_eq(json_string_length(text), strlen(expected));
        json_decref(text);
        free(bytes);
    }
}
END_TEST

/* All pairs of bytes, alone and before a byte that may go on, against jansson's idea of UTF-8. */
START_TEST(jansson_takes_what_is_called_utf8)
{
    for (unsigned n = 0; n < 1u << 16; n++) {
        char bytes[3] = {(char)(n >> 8), (char)n, (char)0x80};

        for (size_t len = 2; len <= 3; len++) {
            json_t *text = json_stringn(bytes, len);
            bool has_nul = memchr(bytes, '\0', len);

            ck_assert_msg(json_text_is_utf8(bytes, len) == (text && !has_nul), "%02x %02x, %zu",
                          n >> 8, n & 0xff, len);
            json_decref(text);
        }
    }
}
END_TEST

START_TEST(base64_vectors_of_rfc_4648)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } vectors[] = {
        {BYTES(""), ""},
        {BYTES("f"), "Zg=="},
        {BYTES("fo"), "Zm8="},
        {BYTES("foo"), "Zm9v"},
        {BYTES("foob"), "Zm9vYg=="},
        {BYTES("fooba"), "Zm9vYmE="},
        {BYTES("foobar"), "Zm9vYmFy"},
        {BYTES("\xff\xff\xff"), "////"},
        {BYTES("\xfb\xef\xbe"), "++++"},
        {BYTES("\0"), "AA=="},
        {BYTES("\0\x10\x83\x10Q\x87 \x92\x8b"), "ABCDEFGHIJKL"},
    };

    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        char *bytes = exact(vectors[i].bytes, vectors[i].len);
        json_t *text = json_text_base64(bytes, vectors[i].len);

        ck_assert_str_eq(json_string_value(text), vectors[i].text);
        json_decref(text);
        free(bytes);
    }
}
END_TEST

START_TEST(a_document_becomes_the_answer)
{
    struct request request = {0};
    json_t *document = json_pack("{s:i, s:s}", "b", 1, "a", "x");

    json_incref(document);
    ck_assert_int_eq(json_text_respond(&request, 203, "application/json", document), 0);
    ck_assert_uint_eq(document->refcount, 1); /* the other reference is gone */
    json_decref(document);
    ck_assert_int_eq(request.response.status, 203);
    ck_assert_str_eq(request.response.content_type, "application/json");
    ck_assert_str_eq(request.response.body, "{\"b\":1,\"a\":\"x\"}");
    ck_assert_uint_eq(request.response.body_len, strlen(request.response.body));
    ck_assert_int_eq(json_text_respond(&request, 200, "application/json", NULL), -ENOMEM);
    ck_assert_int_eq(request.response.status, 203);
    response_static(&request, 200, NULL, "", 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        utf8_is_told_from_other_bytes,     other_bytes_are_replaced_one_by_one,
        jansson_takes_what_is_called_utf8, base64_vectors_of_rfc_4648,
        a_document_becomes_the_answer,
    };

    return support_run("json_text", tests, COUNT_OF(tests));
}
