/* Forms that arrive in pieces: however they are cut, the parts are the same. */
#include "multipart.h"
#include "str.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TYPE "multipart/form-data; boundary=XX"

static struct strbuf seen;
static int refuse_with;

static int on_begin(void *arg, const struct multipart_head *head)
{
    (void)arg;
    strbuf_addf(&seen, "[%s|%s|", head->name, head->filename ? head->filename : "-");
    return refuse_with;
}

static int on_data(void *arg, const char *data, size_t len)
{
    (void)arg;
    ck_assert_uint_gt(len, 0);
    strbuf_add(&seen, data, len);
    return 0;
}

static int on_end(void *arg)
{
    (void)arg;
    strbuf_adds(&seen, "]");
    return 0;
}

static const struct multipart_calls calls = {on_begin, on_data, on_end};

/* Each piece in memory of its own, so that a sanitizer sees the first byte read behind its end. */
static int feed_copy(struct multipart *multipart, const char *data, size_t len)
{
    char *copy = malloc(len ? len : 1);
    int r;

    memcpy(copy, data, len);
    r = multipart_feed(multipart, copy, len);
    free(copy);
    return r;
}

/* Feeds the text, cut at one place, or into pieces of one byte (cut < 0). */
static int parse(const char *type, const char *text, size_t len, ssize_t cut)
{
    struct multipart *multipart = malloc(sizeof *multipart);
    int r = multipart_begin(multipart, type, &calls, NULL);

    strbuf_free(&seen);
    if (!r && cut >= 0) {
        r = feed_copy(multipart, text, (size_t)cut);
        if (!r)
            r = feed_copy(multipart, text + cut, len - (size_t)cut);
    }
    for (size_t i = 0; !r && cut < 0 && i < len; i++)
        r = feed_copy(multipart, text + i, 1);
    if (!r)
        r = multipart_finish(multipart);
    if (r == -EBADMSG)
        ck_assert_ptr_nonnull(multipart->fault);
    free(multipart);
    return r;
}

#define PART(head, content) "--XX\r\n" head "\r\n\r\n" content "\r\n"
#define NAMED(name, content) PART("Content-Disposition: form-data; name=" name, content)
#define LAST "--XX--\r\n"

static const struct {
    const char *text;
    const char *expected; /* NULL: -EBADMSG */
} cases[] = {
    {NAMED("a", "one") LAST, "[a|-|one]"},
    {NAMED("a", "one") NAMED("\"b c\"", "two") LAST, "[a|-|one][b c|-|two]"},
    {NAMED("a; filename=\"f.txt\"", "one") LAST, "[a|f.txt|one]"},
    {NAMED("a; filename=\"\"", "") LAST, "[a||]"},
    {NAMED("\"%22\"; filename=\"a%0Db%41\"", "") LAST, "[\"|a\rb%41|]"},
    {NAMED("a", "") NAMED("b", "") LAST, "[a|-|][b|-|]"},
    {NAMED("a", "one") "--XX--", "[a|-|one]"},
    {NAMED("a", "one") "--XX--\r\nepilogue --XX\r\n", "[a|-|one]"},
    {"preamble\r\n" NAMED("a", "one") LAST, "[a|-|one]"},
    {"\r\n" NAMED("a", "one") LAST, "[a|-|one]"},
    {"--X\r\n--XY\r\r\n" NAMED("a", "1") LAST, "[a|-|1]"},
    {"--X\r\n" NAMED("a", "1") LAST, "[a|-|1]"},
    {"--XX \t\r\nContent-Disposition: x; name=a\r\n\r\none\r\n--XX-- ", "[a|-|one]"},
    /* what begins like a delimiter */
    {NAMED("a", "\r") LAST, "[a|-|\r]"},
    {NAMED("a", "\r\n") LAST, "[a|-|\r\n]"},
    {NAMED("a", "\r\n\r\n") LAST, "[a|-|\r\n\r\n]"},
    {NAMED("a", "\r\n--X") LAST, "[a|-|\r\n--X]"},
    {NAMED("a", "\r\n-") LAST, "[a|-|\r\n-]"},
    {NAMED("a", "\r\r\n--Y\r\n-\r\n") LAST, "[a|-|\r\r\n--Y\r\n-\r\n]"},
    {NAMED("a", "--XX") LAST, "[a|-|--XX]"},
    {NAMED("a", "x--XX\r\n") LAST, "[a|-|x--XX\r\n]"},
    /* other fields */
    {PART("X: y\r\ncontent-disposition: form-data; NAME=a\r\nContent-Type: text/plain", "one") LAST,
     "[a|-|one]"},
    {LAST, ""},
    /* faults */
    {"", NULL},
    {"no delimiter", NULL},
    {NAMED("a", "one"), NULL},
    {NAMED("a", "one") "--XX", NULL},
    {NAMED("a", "one") "--XX-", NULL},
    {NAMED("a", "one") "--XX-x", NULL},
    {NAMED("a", "one") "--XXx\r\n", NULL},
    {NAMED("a", "one") "--XX\rx", NULL},
    {PART("Content-Disposition: form-data", "one") LAST, NULL},
    {PART("Content-Type: text/plain", "one") LAST, NULL},
    {"--XX\r\n\r\none\r\n" LAST, NULL},
    {"--XX\r\nContent-Disposition: x; name=a\r\n", NULL},
};

START_TEST(parts_are_found_however_they_are_cut)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t len = strlen(cases[i].text);

        for (ssize_t cut = -1; cut <= (ssize_t)len; cut++) {
            int r = parse(TYPE, cases[i].text, len, cut);

            ck_assert_msg(r == (cases[i].expected ? 0 : -EBADMSG), "case %zu, cut at %zd: %d: %s",
                          i, cut, r, cases[i].text);
            if (cases[i].expected)
                ck_assert_msg(!strcmp(strbuf_cstr(&seen), cases[i].expected),
                              "case %zu, cut at %zd: %s", i, cut, strbuf_cstr(&seen));
        }
    }
    strbuf_free(&seen);
}
END_TEST

START_TEST(content_may_hold_any_byte)
{
    static const char head[] = "--XX\r\nContent-Disposition: x; name=a\r\n\r\n",
                      tail[] = "\r\n--XX--";
    char text[sizeof head + sizeof tail + 256];
    size_t len = sizeof head - 1;

    memcpy(text, head, len);
    for (int c = 0; c < 256; c++)
        text[len++] = (char)c;
    memcpy(text + len, tail, sizeof tail - 1);
    len += sizeof tail - 1;
    for (ssize_t cut = -1; cut <= (ssize_t)len; cut++) {
        ck_assert_int_eq(parse(TYPE, text, len, cut), 0);
        ck_assert_uint_eq(seen.len, strlen("[a|-|]") + 256);
        ck_assert_mem_eq(seen.data + 5, text + sizeof head - 1, 256);
    }
    strbuf_free(&seen);
}
END_TEST

#define TEN "1234567890"

START_TEST(boundaries_have_a_length)
{
    static const char *const bad[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=" TEN TEN TEN TEN TEN TEN TEN "1",
        "multipart/form-data; boundary=\"a\rb\"",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(parse(bad[i], "", 0, 0) == -EBADMSG, "%s", bad[i]);
    ck_assert_int_eq(parse("multipart/form-data; charset=x; BOUNDARY=\"X X\"",
                           "--X X\r\nContent-Disposition: x; name=a\r\n\r\n1\r\n--X X--", 52, -1),
                     0);
    ck_assert_strbuf(&seen, "[a|-|1]");
}
END_TEST

START_TEST(heads_have_a_limit)
{
    struct strbuf text = {0};
    size_t room;

    strbuf_adds(&text, "--XX\r\nContent-Disposition: x; name=a\r\nX: ");
    room = MULTIPART_MAX_HEAD - (text.len - 6) - 4;
    for (size_t i = 0; i < room; i++)
        strbuf_addc(&text, 'x');
    strbuf_adds(&text, "\r\n\r\n1\r\n--XX--");
    ck_assert_int_eq(parse(TYPE, text.data, text.len, -1), 0);
    text.data[text.len - 13] = 'x'; /* one byte more */
    ck_assert_int_eq(parse(TYPE, text.data, text.len, -1), -EBADMSG);
    strbuf_free(&text);
    strbuf_free(&seen);
}
END_TEST

START_TEST(what_a_call_returns_ends_it)
{
    refuse_with = 1;
    ck_assert_int_eq(parse(TYPE, cases[0].text, strlen(cases[0].text), -1), 1);
    ck_assert_strbuf(&seen, "[a|-|");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        parts_are_found_however_they_are_cut,
        content_may_hold_any_byte,
        boundaries_have_a_length,
        heads_have_a_limit,
        what_a_call_returns_ends_it,
    };

    return support_run("multipart", tests, COUNT_OF(tests));
}
