/* The heads that CGI programs write. */
#include "cgi_head.h"
#include "support.h"

#include <errno.h>
#include <string.h>

static struct arena arena;

static int parse(const char *output, size_t len, bool whole, struct cgi_head *head,
                 const char **why)
{
    arena_clear(&arena);
    arena_init(&arena, NULL, 0);
    return cgi_head_parse(output, len, whole, &arena, head, why);
}

START_TEST(good_heads_are_taken_apart)
{
    static const struct {
        const char *output;
        int status;
        const char *type, *location;
        bool local;
        const char *lines, *body;
    } table[] = {
        {"Content-Type: a/b\n\nbody", 200, "a/b", NULL, false, "", "body"},
        {"Content-Type: a/b\r\n\r\nbody\n\n", 200, "a/b", NULL, false, "", "body\n\n"},
        {"content-type:a/b;c=d \t\n\n", 200, "a/b;c=d", NULL, false, "", ""},
        {"Status: 204\n\n", 204, NULL, NULL, false, "", ""},
        {"Status: 404 Not Here\nContent-Type: a/b\n\nx", 404, "a/b", NULL, false, "", "x"},
        {"Location: /a?b\n\n", 302, NULL, "/a?b", true, "", ""},
        {"Location: //host/a\n\n", 302, NULL, "//host/a", false, "", ""},
        {"Location: http://h/a\n\n", 302, NULL, "http://h/a", false, "", ""},
        {"Status: 303 X\nLocation: /a\n\n", 303, NULL, "/a", false, "", ""},
        {"Status: 201\nLocation: https://h/\nContent-Type: a/b\n\nx", 201, "a/b", "https://h/",
         false, "", "x"},
        {"Content-Type: a/b\nX-A:  1 \nSet-Cookie: a=1\nSet-Cookie: b=2\n\n", 200, "a/b", NULL,
         false, "X-A: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n", ""},
        {"Content-Type: a/b\nX-Empty:\nX-Tab: a\tb\nX-Latin: \xe4\n\n", 200, "a/b", NULL, false,
         "X-Empty: \r\nX-Tab: a\tb\r\nX-Latin: \xe4\r\n", ""},
        {"Content-Type: a/b\nConnection: close\nTransfer-Encoding: chunked\nDate: x\nTrailer: y\n"
         "Keep-Alive: z\nUpgrade: u\nX-Request-Id: i\nX-CGI-Private: p\nContent-Length: 7\n\nx",
         200, "a/b", NULL, false, "", "x"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct cgi_head head;
        const char *why = NULL;
        size_t len = strlen(table[i].output);

        ck_assert_msg(parse(table[i].output, len, true, &head, &why) == 0, "%zu: %s", i, why);
        ck_assert_int_eq(head.status, table[i].status);
        ck_assert_pstr_eq(head.content_type, table[i].type);
        ck_assert_pstr_eq(head.location, table[i].location);
        ck_assert_int_eq(head.local, table[i].local);
        ck_assert_str_eq(head.lines, table[i].lines);
        ck_assert_str_eq(table[i].output + head.body, table[i].body);
    }
}
END_TEST

START_TEST(bad_heads_are_refused)
{
    static const char *const table[][2] = {
        {"", "no empty line"},
        {"\n", "none of the fields"},
        {"\nbody", "none of the fields"},
        {"Content-Type: a/b", "no empty line"},
        {"Content-Type: a/b\nX: y", "no empty line"},
        {"X-A: b\n\n", "none of the fields"},
        {"hello\n\n", "no header field"},
        {"HTTP/1.1 200 OK\nContent-Type: a/b\n\n", "no header field"},
        {": x\n\n", "no header field"},
        {" Content-Type: a/b\n\n", "name"},
        {"Content-Type : a/b\n\n", "name"},
        {"Content-Type: a/b\n folded\n\n", "no header field"},
        {"Content-Type: a/b\n X: folded\n\n", "name"},
        {"Content-Type: a/b\nX: a\rb\n\n", "control character"},
        {"Content-Type: a/b\nX: a\x01\n\n", "control character"},
        {"Content-Type: a/b\nX: a\x7f\n\n", "control character"},
        {"Content-Type:\n\n", "empty Content-Type"},
        {"Content-Type: a/b\nContent-Type: a/b\n\n", "two fields Content-Type"},
        {"Status: 200\nStatus: 200\n\n", "two fields Status"},
        {"Location: /a\nLocation: /a\n\n", "two fields Location"},
        {"Content-Type: a/b\nContent-Length: 1\nContent-Length: 1\n\n",
         "two fields Content-Length"},
        {"Content-Type: a/b\nContent-Length: -1\n\n", "Content-Length"},
        {"Content-Type: a/b\nContent-Length: 99999999999999999999\n\n", "Content-Length"},
        {"Status: 99\n\n", "200 to 599"},
        {"Status: 100\n\n", "200 to 599"},
        {"Status: 600\n\n", "200 to 599"},
        {"Status: 2000\n\n", "200 to 599"},
        {"Status: 200OK\n\n", "200 to 599"},
        {"Status: OK\n\n", "200 to 599"},
        {"Status:\n\n", "200 to 599"},
        {"Location: \n\n", "Location"},
        {"Location: a\n\n", "Location"},
        {"Location: /a b\n\n", "Location"},
        {"Location: ?x\n\n", "Location"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct cgi_head head;
        const char *why = NULL;

        ck_assert_msg(parse(table[i][0], strlen(table[i][0]), true, &head, &why) == -EINVAL, "%s",
                      table[i][0]);
        ck_assert_contains(why, table[i][1]);
    }
}
END_TEST

START_TEST(a_nul_is_refused)
{
    static const char output[] = "Content-Type: a/b\nX: a\0b\n\n";
    struct cgi_head head;
    const char *why;

    ck_assert_int_eq(parse(output, sizeof output - 1, true, &head, &why), -EINVAL);
    ck_assert_contains(why, "control character");
}
END_TEST

START_TEST(a_head_may_come_in_pieces)
{
    static const char output[] = "Content-Type: a/b\r\nX: y\r\n\r\nbody";
    size_t whole = strlen(output) - 4;
    struct cgi_head head;
    const char *why;

    for (size_t len = 0; len <= strlen(output); len++) {
        ck_assert_int_eq(parse(output, len, false, &head, &why), len < whole ? -EAGAIN : 0);
        if (len >= whole)
            ck_assert_uint_eq(head.body, whole);
    }
}
END_TEST

START_TEST(heads_are_bounded)
{
    struct strbuf output = {0};
    struct cgi_head head;
    const char *why;

    strbuf_adds(&output, "Content-Type: a/b\n");
    for (int i = 1; i < CGI_MAX_FIELDS; i++)
        strbuf_adds(&output, "A: b\n");
    strbuf_adds(&output, "\n");
    ck_assert_int_eq(parse(output.data, output.len, true, &head, &why), 0);
    output.len--;
    strbuf_adds(&output, "A: b\n\n");
    ck_assert_int_eq(parse(output.data, output.len, true, &head, &why), -EINVAL);
    ck_assert_contains(why, "100");
    strbuf_free(&output);
    strbuf_adds(&output, "Content-Type: a/b\nX: ");
    while (output.len < CGI_MAX_HEAD - 2)
        strbuf_addc(&output, 'x');
    ck_assert_int_eq(parse(output.data, output.len, false, &head, &why), -EAGAIN);
    strbuf_adds(&output, "\n\n");
    ck_assert_int_eq(parse(output.data, output.len, false, &head, &why), 0);
    output.len -= 2;
    strbuf_adds(&output, "x\n\n");
    ck_assert_int_eq(parse(output.data, output.len, false, &head, &why), -EINVAL);
    ck_assert_contains(why, "8192");
    strbuf_free(&output);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        good_heads_are_taken_apart, bad_heads_are_refused, a_nul_is_refused,
        a_head_may_come_in_pieces,  heads_are_bounded,
    };
    int status = support_run("cgi_head", tests, COUNT_OF(tests));

    arena_clear(&arena);
    return status;
}
