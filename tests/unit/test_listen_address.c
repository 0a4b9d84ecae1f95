#include "listen_address.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

START_TEST(good_addresses)
{
    static const struct {
        const char *text;
        enum listen_kind kind;
        const char *host;
        unsigned port;
        const char *path;
        const char *name;
    } rows[] = {
        {"127.0.0.1:8080", LISTEN_TCP, "127.0.0.1", 8080, "", ""},
        {"localhost:0", LISTEN_TCP, "localhost", 0, "", ""},
        {"a-host.example:65535", LISTEN_TCP, "a-host.example", 65535, "", ""},
        {"[::1]:80", LISTEN_TCP, "::1", 80, "", ""},
        {"[::]:80", LISTEN_TCP, "::", 80, "", ""},
        {"[fe80::1%eth0]:80", LISTEN_TCP, "fe80::1%eth0", 80, "", ""},
        {"8080", LISTEN_TCP, "", 8080, "", ""},
        {"0", LISTEN_TCP, "", 0, "", ""},
        {"unix:/run/x.sock", LISTEN_UNIX, "", 0, "/run/x.sock", ""},
        {"unix:/a:b", LISTEN_UNIX, "", 0, "/a:b", ""},
        {"systemd", LISTEN_SYSTEMD, "", 0, "", ""},
        {"systemd:web", LISTEN_SYSTEMD, "", 0, "", "web"},
        {"systemd:handoffd.socket", LISTEN_SYSTEMD, "", 0, "", "handoffd.socket"},
        {"systemd.example:80", LISTEN_TCP, "systemd.example", 80, "", ""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct listen_address parsed;
        struct strbuf why = {0};

        ck_assert_msg(listen_address_parse(rows[i].text, &parsed, &why) == 0, "%s: %s",
                      rows[i].text, strbuf_cstr(&why));
        ck_assert_int_eq(parsed.kind, rows[i].kind);
        ck_assert_str_eq(parsed.host, rows[i].host);
        ck_assert_uint_eq(parsed.port, rows[i].port);
        ck_assert_str_eq(parsed.path, rows[i].path);
        ck_assert_str_eq(parsed.name, rows[i].name);
        ck_assert_strbuf(&why, "");
    }
}
END_TEST

START_TEST(bad_addresses)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", "port"},
        {"host", "port"},
        {"host:", "port"},
        {"host:http", "port"},
        {"host:65536", "port"},
        {"host:-1", "port"},
        {"host:+1", "port"},
        {"host: 80", "port"},
        {"host:80 ", "port"},
        {"host:99999999999999999999", "port"},
        {"-0", "port"},
        {"host:-0", "port"},
        {":80", "host"},
        {"::1:80", "brackets"},
        {"a:b:80", "brackets"},
        {"[]:80", "brackets"},
        {"[::1:80", "brackets"},
        {"[::1]", "port"},
        {"[::1]x:80", "brackets"},
        {"unix:", "absolute"},
        {"unix:relative", "absolute"},
        {"systemd:", "no name"},
        {"systemd:a:b", "colon"},
        {"systemd.web", "port"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct listen_address parsed;
        struct strbuf why = {0};

        ck_assert_msg(listen_address_parse(rows[i].text, &parsed, &why) == -EINVAL, "%s",
                      rows[i].text);
        ck_assert_contains(strbuf_cstr(&why), rows[i].reason);
        ck_assert_contains(strbuf_cstr(&why), rows[i].text);
        ck_assert_contains(strbuf_cstr(&why), "allowed:");
        strbuf_free(&why);
    }
}
END_TEST

static void fill(char text[400], const char *before, int count, const char *after)
{
    static const char xs[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    snprintf(text, 400, "%s%.*s%s", before, count, xs, after);
}

START_TEST(lengths_are_bounded)
{
    struct listen_address parsed;
    struct strbuf why = {0};
    char text[400];

    fill(text, "unix:/", 106, "");
    ck_assert_int_eq(listen_address_parse(text, &parsed, &why), 0);
    ck_assert_uint_eq(strlen(parsed.path), 107);
    fill(text, "unix:/", 107, "");
    ck_assert_int_eq(listen_address_parse(text, &parsed, &why), -EINVAL);
    ck_assert_contains(strbuf_cstr(&why), "107 bytes");
    strbuf_free(&why);
    fill(text, "", 255, ":80");
    ck_assert_int_eq(listen_address_parse(text, &parsed, &why), 0);
    ck_assert_uint_eq(strlen(parsed.host), 255);
    fill(text, "", 256, ":80");
    ck_assert_int_eq(listen_address_parse(text, &parsed, &why), -EINVAL);
    ck_assert_contains(strbuf_cstr(&why), "too long");
    strbuf_free(&why);
}
END_TEST

START_TEST(any_port_is_zero_over_tcp_only)
{
    ck_assert(listen_address_is_any_port("127.0.0.1:0"));
    ck_assert(listen_address_is_any_port("[::1]:0"));
    ck_assert(listen_address_is_any_port("0"));
    ck_assert(!listen_address_is_any_port("127.0.0.1:80"));
    ck_assert(!listen_address_is_any_port("unix:/0"));
    ck_assert(!listen_address_is_any_port("nonsense"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        good_addresses,
        bad_addresses,
        lengths_are_bounded,
        any_port_is_zero_over_tcp_only,
    };

    return support_run("listen_address", tests, COUNT_OF(tests));
}
