/* The dump of a configuration: it is whole, hides secrets, and reads back as what it was. */
#include "action.h"
#include "conf.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static void check_dump_reads_back(struct conf *conf)
{
    struct strbuf first = {0}, second = {0};
    struct conf *again;

    conf_dump(conf, &first);
    again = support_conf_text(strbuf_cstr(&first));
    conf_dump(again, &second);
    ck_assert_str_eq(strbuf_cstr(&first), strbuf_cstr(&second));
    ck_assert_uint_eq(again->n_routes, conf->n_routes);
    ck_assert_uint_eq(again->n_pools, conf->n_pools);
    ck_assert_uint_eq(again->n_listeners, conf->n_listeners);
    for (const struct option_row *row = conf_server_options; row->name; row++)
        ck_assert(option_equal(row, &conf->server, &again->server));
    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *a = &conf->routes[i], *b = &again->routes[i];

        ck_assert_uint_eq(a->method_mask, b->method_mask);
        ck_assert_uint_eq(a->listener_mask, b->listener_mask);
        ck_assert_str_eq(a->header_block, b->header_block);
        ck_assert_int_eq(a->pool_index, b->pool_index);
        ck_assert_int_eq(a->max_body_size, b->max_body_size);
        for (const struct option_row *row = a->action->options; row && row->name; row++)
            ck_assert_msg(option_equal(row, a->settings, b->settings), "routes[%zu].%s", i,
                          row->name);
    }
    strbuf_free(&first);
    strbuf_free(&second);
    conf_free(again);
    conf_free(conf);
}

START_TEST(a_dump_reads_back_the_same)
{
    check_dump_reads_back(support_conf_text(""));
    check_dump_reads_back(support_conf_text(
        "server: { loops = \"auto\"; drain_timeout = 0.123456789; max_connections = 1;\n"
        "  max_header_size = 256; max_body_size = 0; header_timeout = 0.001; body_timeout = \"1h\";\n"
        "  write_timeout = \"1500ms\"; keepalive_timeout = 0; half_close = \"serve\"; };\n"
        "listeners: { b: { address = \"[::1]:0\"; }; a: { address = \"unix:/x\"; mode = \"0\"; }; };\n"
        "pools: { p: { threads = \"auto\"; spawn = \"on-demand\"; stack_size = 100000; }; };\n"
        "routes: (\n"
        "  { path = \"/q\"; action = \"respond\"; body = \"\\\"\\\\ \\n\\t\\x01\\x7f \xc3\xa4 # /* "
        "@include\"; content_type = \"a/b\"; },\n"
        "  { path = \"/e\"; action = \"respond\"; body = \"\"; max_body_size = 0; },\n"
        "  { path = \"/m\"; action = \"echo\"; max_body_size = \"1g\"; },\n"
        "  { path = \"/d/{x}\"; action = \"delay\"; duration = 0; methods = \"PUT\";\n"
        "    listener = ( \"a\", \"b\" ); headers = { A = \"x: y\"; B = \"\"; }; },\n"
        "  { path = \"/p/*\"; action = \"pool\"; pool = \"p\"; field = \"busy\"; },\n"
        "  { path = \"/s\"; action = \"sleep\"; duration = \"1h\"; pool = \"p\"; },\n"
        "  { path = \"/r\"; action = \"redirect\"; location = \"/q\"; status = 308; },\n"
        "  { path = \"/t\"; action = \"spin\"; duration = 0.000000001; } );\n"));
}
END_TEST

START_TEST(a_dump_holds_the_defaults)
{
    struct conf *conf =
        support_conf_text("routes: ( { path = \"/s\"; action = \"sleep\"; duration = 1; },\n"
                          "          { path = \"/l\"; action = \"live\"; } );");
    struct strbuf text = {0};

    conf_dump(conf, &text);
    ck_assert_contains(strbuf_cstr(&text), "server: {\n"
                                           "    loops = 1;\n"
                                           "    max_connections = 10000;\n"
                                           "    max_header_size = \"16k\";\n"
                                           "    max_body_size = \"1m\";\n"
                                           "    header_timeout = \"10s\";\n"
                                           "    body_timeout = \"30s\";\n"
                                           "    write_timeout = \"30s\";\n"
                                           "    keepalive_timeout = \"75s\";\n"
                                           "    half_close = \"abort\";\n"
                                           "    drain_timeout = \"30s\";\n"
                                           "    server_timing = false;\n"
                                           "    server_tokens = false;\n"
                                           "    starvation_notice = \"5s\";\n"
                                           "    access_log = \"off\";\n"
                                           "    access_log_format = \"combined\";\n"
                                           "    log_level = \"info\";\n"
                                           "};\n");
    ck_assert_contains(strbuf_cstr(&text), "        threads = 40;\n        queue_depth = 400;\n");
    ck_assert_contains(strbuf_cstr(&text), "        pool = \"default\";\n");
    ck_assert_lacks(strstr(strbuf_cstr(&text), "/l"), "pool"); /* no blocking action */
    /* Those of the server and of the pool. */
    ck_assert_contains(strbuf_cstr(&text), "        max_queue = 400;\n"
                                           "        timeout = \"0\";\n"
                                           "        queue_timeout = \"0\";\n"
                                           "        max_body_size = \"1m\";\n"
                                           "        # headers: not set\n");
    ck_assert_contains(strstr(strbuf_cstr(&text), "/l"), "methods = ( \"GET\" );");
    strbuf_free(&text);
    conf_free(conf);
}
END_TEST

/* Every option that could be written there stands in the text, with a value or without. */
static void check_is_named(const struct option_row *rows, bool blocking, const char *text)
{
    char name[80];

    for (; rows && rows->name; rows++) {
        if (!blocking && (rows->flags & OPTION_BLOCKING))
            continue;
        snprintf(name, sizeof name, " %s = ", rows->name);
        if (strstr(text, name))
            continue;
        snprintf(name, sizeof name, " # %s: not set\n", rows->name);
        ck_assert_contains(text, name);
    }
}

START_TEST(a_dump_names_every_option_of_every_action)
{
    for (size_t i = 0; registry_at(i); i++) {
        const struct conf_action *action = registry_at(i);
        struct strbuf config = {0}, text = {0};
        struct conf *conf;

        strbuf_addf(&config, "routes: ( { path = \"/%s\"; action = \"%s\"; %s } );",
                    !strcmp(action->name, "file") ? "*" : "x", action->name,
                    !strcmp(action->name, "file")       ? "root = \"/\";"
                    : !strcmp(action->name, "exec")     ? "command = \"true\";"
                    : !strcmp(action->name, "redirect") ? "location = \"/y\";"
                    : !strcmp(action->name, "upload")   ? "directory = \"/\";"
                    : !strcmp(action->name, "delay") || !strcmp(action->name, "sleep") ||
                            !strcmp(action->name, "spin")
                        ? "duration = 1;"
                        : "");
        conf = support_conf_text(strbuf_cstr(&config));
        conf_dump(conf, &text);
        check_is_named(conf_route_options, action->blocking, strbuf_cstr(&text));
        check_is_named(action->options, true, strbuf_cstr(&text));
        strbuf_free(&config);
        strbuf_free(&text);
        check_dump_reads_back(conf);
    }
}
END_TEST

START_TEST(an_empty_list_in_place_of_a_default_is_dumped)
{
    struct conf *conf = support_conf_text(
        "routes: ( { path = \"/*\"; action = \"file\"; root = \"/\"; index = ( ); } );");
    struct strbuf text = {0};

    conf_dump(conf, &text);
    ck_assert_contains(strbuf_cstr(&text), "index = (  );");
    strbuf_free(&text);
    check_dump_reads_back(conf);
}
END_TEST

START_TEST(what_a_route_takes_over_makes_it_no_other)
{
    struct conf *usual = support_conf_text("routes: ( { path = \"/e\"; action = \"live\"; } );");
    struct conf *written =
        support_conf_text("routes: ( { path = \"/e\"; action = \"live\"; methods = \"GET\"; } );");
    struct conf *other =
        support_conf_text("routes: ( { path = \"/e\"; action = \"live\"; methods = \"PUT\"; } );");

    ck_assert_str_eq(usual->routes[0].key, "/e");
    ck_assert_str_eq(written->routes[0].key, "/e");
    ck_assert_str_eq(other->routes[0].key, "/e PUT");
    conf_free(usual);
    conf_free(written);
    conf_free(other);
}
END_TEST

START_TEST(a_dump_masks_secrets)
{
    static const struct {
        const char *name, *value;
        bool masked;
    } table[] = {
        {"API_KEY", "v1", true},
        {"APIKEY", "v2", true},
        {"apiKey", "v3", true},
        {"KEYBOARD", "v4", false},
        {"GITHUB_TOKEN", "v5", true},
        {"CLIENT_SECRET_2", "v6", true},
        {"PGPASSWORD", "v7", true},
        {"MYSQL_PWD", "v8", true},
        {"PWD", "v9", false},
        {"X-Auth-Token", "w1", true},
        {"Set-Cookie", "w2", true},
        {"Proxy-Authorization", "w3", true},
        {"AWS_CREDENTIALS", "w4", true},
        {"LANG", "w5", false},
        {"A_TOKEN", "${header.A}", false},  /* comes with the request */
        {"B_TOKEN", "w6${header.A}", true}, /* holds something of its own */
    };
    struct strbuf config = {0}, text = {0}, line = {0};
    struct conf *conf;

    strbuf_adds(&config,
                "routes: ( { path = \"/*\"; action = \"exec\"; command = \"true\"; env = ( ");
    for (size_t i = 0; i < COUNT_OF(table); i++)
        strbuf_addf(&config, "%s\"%s: %s\"", i ? ", " : "", table[i].name, table[i].value);
    strbuf_adds(&config, " ); headers = { X-Token = \"hidden\"; X-Other = \"shown\"; }; } );");
    conf = support_conf_text(strbuf_cstr(&config));
    conf_dump(conf, &text);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        line.len = 0;
        strbuf_addf(&line, "\"%s: %s\"", table[i].name, table[i].masked ? "***" : table[i].value);
        ck_assert_contains(strbuf_cstr(&text), strbuf_cstr(&line));
        if (table[i].masked)
            ck_assert_lacks(strbuf_cstr(&text), table[i].value);
    }
    ck_assert_contains(strbuf_cstr(&text), "headers = ( \"X-Token: ***\", \"X-Other: shown\" );");
    conf_free(support_conf_text(strbuf_cstr(&text)));
    strbuf_free(&config);
    strbuf_free(&text);
    strbuf_free(&line);
    conf_free(conf);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_dump_reads_back_the_same,
        a_dump_holds_the_defaults,
        a_dump_names_every_option_of_every_action,
        an_empty_list_in_place_of_a_default_is_dumped,
        what_a_route_takes_over_makes_it_no_other,
        a_dump_masks_secrets,
    };

    return support_run("conf_dump", tests, COUNT_OF(tests));
}
