#include "action.h"
#include "clock.h"
#include "conf.h"
#include "http_method.h"
#include "support.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUTE "{ path = \"/a\"; action = \"live\"; }"

/* Loads text with one override. */
static struct conf *with_override(const char *content, const char *override)
{
    return support_conf_good(support_write("text.conf", content), &override, 1);
}

static char *faults_of(const char *content)
{
    return support_conf_faults(support_write("bad.conf", content), NULL, 0);
}

static char *faults_with(const char *content, const char *override)
{
    return support_conf_faults(support_write("bad.conf", content), &override, 1);
}

/* ---- good files ------------------------------------------------------------------------------ */

START_TEST(an_empty_file_is_all_defaults)
{
    struct conf *conf = support_conf_text("");

    ck_assert_int_eq(conf->server.loops, 1);
    ck_assert_int_eq(conf->server.drain_timeout, 30 * NS_PER_SEC);
    ck_assert_uint_eq(conf->n_listeners, 1);
    ck_assert_str_eq(conf->listeners[0].name, "main");
    ck_assert_str_eq(conf->listeners[0].address, "127.0.0.1:8080");
    ck_assert_int_eq(conf->listeners[0].mode, 0660);
    ck_assert_uint_eq(conf->n_pools, 1);
    ck_assert_str_eq(conf->pools[0].name, "default");
    ck_assert_int_eq(conf->pools[0].threads, 40);
    ck_assert_int_eq(conf->pools[0].queue_depth, 400);
    ck_assert_int_eq(conf->pools[0].spawn, CONF_SPAWN_EAGER);
    ck_assert_int_eq(conf->pools[0].stack_size, 256 << 10);
    ck_assert_uint_eq(conf->n_routes, 0);
    ck_assert_ptr_nonnull(conf->router);
    conf_free(conf);
    conf_free(NULL);
}
END_TEST

START_TEST(everything_can_be_said)
{
    struct conf *conf = support_conf_text(
        "server: { loops = 3; drain_timeout = 0.5; log_level = \"debug\"; };\n"
        "listeners: { one: { address = \"127.0.0.1:0\"; };\n"
        "             two: { address = \"unix:/tmp/x\"; mode = \"0600\"; }; };\n"
        "pools: { slow: { threads = 2; queue_depth = 0; spawn = \"on-demand\";\n"
        "                 stack_size = \"1m\"; };\n"
        "         default: { threads = 7; }; };\n"
        "routes: ( { path = \"/s\"; action = \"sleep\"; duration = \"2s\"; pool = \"slow\";\n"
        "            methods = [ \"GET\", \"POST\" ]; listener = \"two\";\n"
        "            headers = ( \"X-A: 1\", \"X-B: 2\" ); },\n"
        "          { path = \"/r\"; action = \"respond\"; status = 201; body = \"hi\";\n"
        "            headers = { X-C = \"3\"; }; } );\n");
    const struct conf_route *sleep = &conf->routes[0], *respond = &conf->routes[1];

    ck_assert_int_eq(conf->server.loops, 3);
    ck_assert_int_eq(conf->server.drain_timeout, NS_PER_SEC / 2);
    ck_assert_int_eq(conf->server.log_level, 4);
    ck_assert_uint_eq(conf->n_listeners, 2);
    ck_assert_int_eq(conf_find_listener(conf, "two"), 1);
    ck_assert_int_eq(conf_find_listener(conf, "three"), -1);
    ck_assert_int_eq(conf->listeners[1].mode, 0600);
    ck_assert_uint_eq(conf->n_pools, 2);
    ck_assert_int_eq(conf_find_pool(conf, "default"), 1);
    ck_assert_int_eq(conf_find_pool(conf, "defaul"), -1);
    ck_assert_int_eq(conf->pools[0].spawn, CONF_SPAWN_ON_DEMAND);
    ck_assert_int_eq(conf->pools[0].stack_size, 1 << 20);
    ck_assert_uint_eq(conf->n_routes, 2);
    ck_assert_uint_eq(respond->index, 1);
    ck_assert_uint_eq(sleep->method_mask, METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST));
    ck_assert_uint_eq(sleep->listener_mask, 2);
    ck_assert_int_eq(sleep->pool_index, 0);
    ck_assert_str_eq(sleep->header_block, "X-A: 1\r\nX-B: 2\r\n");
    ck_assert_str_eq(respond->header_block, "X-C: 3\r\n");
    ck_assert_uint_eq(respond->method_mask, METHOD_BIT(METHOD_GET));
    ck_assert_uint_eq(respond->listener_mask, UINT64_MAX);
    ck_assert_int_eq(respond->pool_index, CONF_NO_POOL);
    conf_free(conf);
}
END_TEST

START_TEST(the_default_pool_stands_before_the_others)
{
    struct conf *conf = support_conf_text(
        "pools: { other: { threads = 1; }; };\n"
        "routes: ( { path = \"/s\"; action = \"sleep\"; duration = 1; },\n"
        "          { path = \"/o\"; action = \"sleep\"; duration = 1; pool = \"other\"; } );\n");

    ck_assert_uint_eq(conf->n_pools, 2);
    ck_assert_str_eq(conf->pools[0].name, "default");
    ck_assert_int_eq(conf->routes[0].pool_index, 0);
    ck_assert_int_eq(conf->routes[1].pool_index, 1);
    conf_free(conf);
}
END_TEST

START_TEST(routes_are_in_the_router)
{
    struct conf *conf = support_conf_text("routes: ( { path = \"/x/{id}\"; action = \"live\"; },\n"
                                          "          { path = \"/x/y\"; action = \"live\"; } );");
    struct route_match match;

    ck_assert_int_eq(router_find(conf->router, "/x/y", 4, METHOD_BIT(METHOD_GET), 0, &match), 0);
    ck_assert_uint_eq(match.route, 1);
    ck_assert_int_eq(router_find(conf->router, "/x/z", 4, METHOD_BIT(METHOD_HEAD), 63, &match), 0);
    ck_assert_uint_eq(match.route, 0);
    ck_assert_int_eq(router_find(conf->router, "/x/z", 4, METHOD_BIT(METHOD_POST), 0, &match),
                     -EACCES);
    conf_free(conf);
}
END_TEST

START_TEST(auto_is_worked_out_from_the_affinity_mask)
{
    struct conf *conf = support_conf_text("server: { loops = \"auto\"; };\n"
                                          "pools: { default: { threads = \"auto\"; };\n"
                                          "         fixed: { threads = 3; }; };");
    cpu_set_t set;
    unsigned cpus;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cpus = (unsigned)CPU_COUNT(&set);
    ck_assert_int_eq(conf->server.loops, OPTION_WORD);
    ck_assert_uint_eq(conf_server_loops(&conf->server), cpus < 64 ? cpus : 64);
    ck_assert_uint_eq(conf_pool_threads(&conf->pools[0]), cpus + 4 < 32 ? cpus + 4 : 32);
    ck_assert_uint_eq(conf_pool_threads(&conf->pools[1]), 3);
    for (int cpu = 0, kept = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && kept++)
            CPU_CLR(cpu, &set);
    ck_assert_int_eq(sched_setaffinity(0, sizeof set, &set), 0);
    ck_assert_uint_eq(conf_server_loops(&conf->server), 1);
    ck_assert_uint_eq(conf_pool_threads(&conf->pools[0]), 5);
    conf_free(conf);
}
END_TEST

START_TEST(files_are_found_beside_the_configuration)
{
    const char *path =
        support_write("d/e/rel.conf", "routes: ( { path = \"/f\"; action = \"respond\";\n"
                                      "body_file = \"../body.txt\"; } );");
    struct conf *conf;
    char *resolved;

    support_write("d/body.txt", "from the file");
    conf = support_conf_good(path, NULL, 0);
    resolved = conf_resolve_path(conf, "x/y");
    ck_assert_contains(resolved, "/d/e/x/y");
    free(resolved);
    resolved = conf_resolve_path(conf, "/x/y");
    ck_assert_str_eq(resolved, "/x/y");
    free(resolved);
    conf_free(conf);
    /* The same from within the directory. */
    ck_assert_int_eq(chdir(support_path("d/e")), 0);
    conf = support_conf_good("rel.conf", NULL, 0);
    resolved = conf_resolve_path(conf, "x");
    ck_assert_str_eq(resolved, "x");
    free(resolved);
    conf_free(conf);
}
END_TEST

START_TEST(numbers_of_64_bits_arrive_whole)
{
    char *lines = faults_of("pools: { default: { queue_depth = 4294967297; }; };");

    /* 1 if it were cut to 32 bits, and allowed. */
    ck_assert_contains(lines, "bad.conf:1: pools.default.queue_depth: found 4294967297; allowed: 0 "
                              "to 1000000");
    free(lines);
}
END_TEST

START_TEST(what_needs_a_restart_is_named)
{
    struct conf *one = support_conf_text("server: { loops = 1; };");
    struct conf *two = support_conf_text("server: { loops = 2; log_level = \"debug\"; };");
    struct strbuf text = {0};

    conf_restart_diff(one, one, &text);
    ck_assert_strbuf(&text, "");
    conf_restart_diff(one, two, &text);
    ck_assert_strbuf(&text, "server.loops");
    conf_free(one);
    conf_free(two);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------- */

START_TEST(all_faults_are_told_in_one_go)
{
    static const char *const expected[] = {
        "bad.conf:2: server.lops: unknown option \"lops\"; did you mean \"loops\"?; allowed: loops",
        "bad.conf:3: server.drain_timeout: found \"3 s\"; allowed: 0 to 1h",
        "bad.conf:6: listeners.main: \"address\" is missing",
        "bad.conf:10: pools.p.threads: found 0; allowed: 1 to 4096 or \"auto\"",
        "bad.conf:11: pools.p.spawn: found \"egaer\"; allowed: \"eager\" or \"on-demand\"",
        "bad.conf:15: routes[0].action: unknown action \"sleeep\"; did you mean \"sleep\"?",
        "bad.conf:16: routes[1].methods: found \"GTE\"",
        "bad.conf:17: routes[2].duration: found true; allowed: 0 to 1h",
        "bad.conf:18: routes[3]: found 5; allowed: a group",
        "bad.conf:20: piils: unknown option \"piils\"; did you mean \"pools\"?",
    };
    char *lines = faults_of("server: {\n"
                            "    lops = 1;\n"
                            "    drain_timeout = \"3 s\";\n"
                            "};\n"
                            "listeners: {\n"
                            "    main: { mode = \"0600\"; };\n"
                            "};\n"
                            "pools: {\n"
                            "    p: {\n"
                            "        threads = 0;\n"
                            "        spawn = \"egaer\";\n"
                            "    };\n"
                            "};\n"
                            "routes: (\n"
                            "    { path = \"/a\"; action = \"sleeep\"; duration = 1; },\n"
                            "    { path = \"/b\"; action = \"live\"; methods = [ \"GTE\" ]; },\n"
                            "    { path = \"/c\"; action = \"delay\"; duration = true; },\n"
                            "    5\n"
                            ");\n"
                            "piils: { };\n");
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(expected); i++)
        ck_assert_contains(lines, expected[i]);
    for (const char *p = lines; (p = strchr(p, '\n')); p++)
        count++;
    ck_assert_msg(count == COUNT_OF(expected), "%zu lines:\n%s", count, lines);
    free(lines);
}
END_TEST

/* Files with one fault each. */
START_TEST(each_fault_is_told_with_its_place)
{
    static const struct {
        const char *content, *expected;
    } rows[] = {
        {"server = 5;", "1: server: found 5; allowed: a group"},
        {"server: { \n log_level = \"verbose\"; };", "2: server.log_level: found \"verbose\"; "
                                                     "allowed: \"error\""},
        {"server: { log_level = \"inof\"; };", "did you mean \"info\"?"},
        {"server: { drain_timeout = 3601; };", "found 3601; allowed: 0 to 1h"},
        {"server: { drain_timeout = -1; };", "found -1; allowed: 0 to 1h"},
        {"server: { loops = 65; };", "found 65; allowed: 1 to 64 or \"auto\""},
        {"server: { loops = 1.5; };", "found 1.5; allowed"},
        {"server: { loops = { }; };", "found a group; allowed"},
        {"a = 1;", "1: a: unknown option \"a\"; allowed: server, listeners, pools, routes"},
        {"\nlisteners: { };", "2: listeners: the group is empty"},
        {"listeners = \"x\";", "1: listeners: found \"x\"; allowed: a group"},
        {"listeners: { a = 80; };", "1: listeners.a: found 80; allowed: a group"},
        {"listeners: { a: { address = 80; }; };", "listeners.a.address: found 80; allowed: a str"},
        {"listeners: { a: { address = \"x\"; }; };", "listeners.a.address: found \"x\": the port"},
        {"listeners: { a: { address = \"unix:/x\"; mode = 660; }; };",
         "listeners.a.mode: found 660"},
        {"listeners: { a: { address = \"80\"; mode = \"0660\"; }; };",
         "listeners.a.mode: found with the address"},
        {"listeners: {\na: { address = \"h:80\"; };\nb: { address = \"h:80\"; };\n};",
         "3: listeners.b.address: \"h:80\" is the address of the listener \"a\" too"},
        {"pools: ( );", "1: pools: found a list; allowed: a group"},
        {"pools: { p: { depth = 3; }; };", "1: pools.p.depth: unknown option \"depth\""},
        {"pools: { p: { thraeds = 3; }; };", "did you mean \"threads\"?"},
        {"pools: { p: { stack_size = \"1k\"; }; };", "found \"1k\"; allowed: 64k to 64m"},
        {"pools: { p: { threads = \"many\"; }; };", "found \"many\"; allowed: 1 to 4096 or"},
        {"pools: { p: { queue_depth = 1000001; }; };", "allowed: 0 to 1000000"},
        {"routes: { };", "1: routes: found a group; allowed: a list of groups"},
        {"routes = 1;", "1: routes: found"},
        {"routes: ( {\naction = \"live\"; } );", "1: routes[0]: \"path\" is missing"},
        {"routes: ( {\npath = \"/a\"; } );", "1: routes[0]: \"action\" is missing"},
        {"routes: ( { path = \"/a\";\naction = 5; } );", "2: routes[0].action: found 5"},
        {"routes: ( { path = \"/a\";\naction = \"resopnd\"; } );",
         "2: routes[0].action: unknown action \"resopnd\"; did you mean \"respond\"?"},
        {"routes: ( { path = \"/a\"; action = \"live\";\nbody = \"\"; } );",
         "2: routes[0].body: unknown option \"body\""},
        {"routes: ( { path = \"/a\"; action = \"live\";\npool = \"default\"; } );",
         "2: routes[0].pool: found with the action \"live\"; allowed: only with blocking"},
        {"routes: ( { path = \"/a\"; action = \"sleep\"; } );", "\"duration\" is missing"},
        {"routes: ( { path = \"/a\"; action = \"sleep\"; duration = \"2h\"; } );",
         "found \"2h\"; allowed: 0 to 1h"},
        {"pools: { slow: { }; };\nroutes: ( { path = \"/a\"; action = \"sleep\"; duration = 1;\n"
         "pool = \"slwo\"; } );",
         "3: routes[0].pool: found \"slwo\", which is not configured; did you mean \"slow\"?; "
         "allowed: \"default\", \"slow\""},
        {"routes: ( { path = \"/a\"; action = \"live\";\nlistener = ( \"main\", \"mian\" ); } );",
         "2: routes[0].listener: found \"mian\", which is not configured; did you mean \"main\"?"},
        {"routes: ( { path = \"a\"; action = \"live\"; } );",
         "1: routes[0].path: found \"a\": a path must begin with /"},
        {"routes: ( { path = \"/{x\"; action = \"live\"; } );", "routes[0].path: found \"/{x\""},
        {"routes: (\n" ROUTE ",\n" ROUTE " );",
         "3: routes[1].path: \"/a\" matches the same requests as routes[0], \"/a\" (bad.conf:2)"},
        {"routes: ( { path = \"/a\"; action = \"live\"; methods = ( ); } , " ROUTE ");",
         "matches the same requests as routes[0]"},
        {"routes: ( { path = \"/a\"; action = \"live\";\nheaders = \"X: y\"; } );",
         "2: routes[0].headers: found \"X: y\""},
        {"routes: ( { path = \"/a\"; action = \"live\";\nheaders = ( \"X y: z\" ); } );",
         "2: routes[0].headers: \"X y\" is no header name"},
        {"routes: ( { path = \"/a\"; action = \"live\"; headers = { content-LENGTH = \"\"; }; } );",
         "\"content-LENGTH\" is written by the daemon itself"},
        {"routes: ( { path = \"/a\"; action = \"live\"; headers = ( \"X: a\\r\\nY: b\" ); } );",
         "the value of \"X\" has control characters"},
        {"routes: ( { path = \"/a\"; action = \"respond\";\nstatus = 199; } );",
         "2: routes[0].status: found 199; allowed: 200 to 599"},
        {"routes: ( { path = \"/a\"; action = \"respond\"; body = \"\";\nbody_file = \"b\"; } );",
         "2: routes[0].body_file: found beside \"body\""},
        {"routes: ( { path = \"/a\"; action = \"respond\";\nbody_file = \"none\"; } );",
         "2: routes[0].body_file: cannot read \"none\": No such file"},
        {"routes: ( { path = \"/a\"; action = \"respond\"; body_file = \".\"; } );",
         "Is a directory; allowed: a regular file"},
        {"routes: ( { path = \"/a\"; action = \"respond\"; body_file = \"/dev/null\"; } );",
         "allowed: a regular file"},
        {"routes: ( { path = \"/a\"; action = \"respond\"; content_type = \"a\\nb\"; } );",
         "routes[0].content_type: found control characters"},
        {"routes: ( { path = \"/a\"; action = \"redirect\"; } );", "\"location\" is missing"},
        {"routes: ( { path = \"/a\"; action = \"redirect\";\nlocation = \"/a b\"; } );",
         "2: routes[0].location: found blanks"},
        {"routes: ( { path = \"/a\"; action = \"redirect\"; location = \"/\"; status = 200; } );",
         "found 200; allowed: 300 to 399"},
        {"routes: ( { path = \"/a\"; action = \"pool\";\nfield = \"bsuy\"; } );",
         "2: routes[0].field: found \"bsuy\"; did you mean \"busy\"?; allowed: \"threads\""},
        {"routes: ( { path = \"/a\"; action = \"pool\";\npool = \"none\"; } );",
         "2: routes[0].pool: found \"none\", which is not configured"},
        {"server: { loops = 1;\nloops = 2; };",
         "2: server.loops: is set twice; first at bad.conf:1"},
        {"server: { };\nserver: { loops = 99; };", "2: server: is set twice"},
        {"routes: ( { path = \"/a\"; action = \"live\";\n path = \"/b\"; } );",
         "2: routes[0].path: is set twice"},
        {"pools: { default: {\nqueue_depth = 99999999999999999999; }; };",
         "2: the number 99999999999999999999 is too large"},
        {"server: {\nloops = 1\n};;;\n+", "syntax error"},
        {"server: {", "1: syntax error"},
        {"\n\n}", "3: syntax error"},
        {"@include \"none.conf\"", "1: @include \"none.conf\": cannot read the file"},
        {"pools: { p12345678901234567890123456789012345678901234567890123456789012345: { }; };",
         "the name has 66 bytes"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *lines = faults_of(rows[i].content);

        ck_assert_msg(!strncmp(lines, "bad.conf:", 9), "no place: %s", lines);
        ck_assert_contains(lines, rows[i].expected);
        ck_assert_msg(strchr(lines, '\n')[1] == '\0', "more than one fault for %s\n%s",
                      rows[i].content, lines);
        free(lines);
    }
}
END_TEST

START_TEST(faults_in_an_included_file_have_its_place)
{
    char *lines;

    support_write("pools.inc", "pools: {\n  default: {\n    threads = -1;\n  };\n};");
    lines = faults_of("server: { };\n@include \"pools.inc\"\nserve: { };\n");
    ck_assert_contains(lines, "pools.inc:3: pools.default.threads: found -1");
    ck_assert_contains(lines, "bad.conf:3: serve: unknown option");
    free(lines);
}
END_TEST

START_TEST(a_missing_file_is_a_fault)
{
    char *lines = support_conf_faults(support_path("nothing.conf"), NULL, 0);

    ck_assert_str_eq(lines, "nothing.conf: cannot read the file: No such file or directory\n");
    free(lines);
}
END_TEST

START_TEST(too_many_listeners_are_a_fault)
{
    struct strbuf content = {0};
    char *lines;
    struct conf *conf;

    strbuf_adds(&content, "listeners: {\n");
    for (int i = 0; i < CONF_MAX_LISTENERS; i++)
        strbuf_addf(&content, "l%d: { address = \"127.0.0.1:0\"; };\n", i);
    strbuf_adds(&content,
                "};\nroutes: ( { path = \"/a\"; action = \"live\"; listener = \"l62\"; } );");
    conf = support_conf_text(strbuf_cstr(&content));
    ck_assert_uint_eq(conf->routes[0].listener_mask, UINT64_C(1) << 62);
    conf_free(conf);
    strbuf_free(&content);
    strbuf_adds(&content, "listeners: {\n");
    for (int i = 0; i < CONF_MAX_LISTENERS + 1; i++)
        strbuf_addf(&content, "l%d: { address = \"127.0.0.1:0\"; };\n", i);
    strbuf_adds(&content, "};\n");
    lines = faults_of(strbuf_cstr(&content));
    ck_assert_contains(lines, "listeners: found 64; allowed: at most 63");
    free(lines);
    strbuf_free(&content);
}
END_TEST

START_TEST(a_large_body_file_is_a_fault)
{
    char *lines;

    ck_assert_int_eq(truncate(support_write("huge", ""), (64 << 20) + 1), 0);
    lines =
        faults_of("routes: ( { path = \"/a\"; action = \"respond\"; body_file = \"huge\"; } );");
    ck_assert_contains(lines, "cannot read \"huge\": File too large; allowed: a regular file of at "
                              "most 64 MiB");
    free(lines);
}
END_TEST

START_TEST(a_large_header_block_is_a_fault)
{
    struct strbuf content = {0};
    char *lines;

    strbuf_adds(&content, "routes: ( { path = \"/a\"; action = \"live\"; headers = (\n\"A: b\"");
    for (int i = 0; i < 90; i++)
        strbuf_addf(&content, ",\n\"X-%d: %090d\"", i, i);
    strbuf_adds(&content, " ); } );");
    lines = faults_of(strbuf_cstr(&content));
    ck_assert_contains(lines, "routes[0].headers: found ");
    ck_assert_contains(lines, "allowed: at most 8192 in all");
    free(lines);
    strbuf_free(&content);
}
END_TEST

START_TEST(faults_are_added_and_cleared)
{
    struct conf_faults faults = {0};

    conf_faults_add(&faults, "here", "%s %d", "text", 1);
    conf_faults_add(&faults, "there", "more");
    ck_assert_uint_eq(faults.count, 2);
    ck_assert_str_eq(faults.items[0].where, "here");
    ck_assert_str_eq(faults.items[0].text, "text 1");
    ck_assert_str_eq(faults.items[1].text, "more");
    ck_assert(!faults.out_of_memory);
    conf_faults_clear(&faults);
    ck_assert_uint_eq(faults.count, 0);
    conf_faults_clear(&faults);
}
END_TEST

START_TEST(a_fault_is_one_line)
{
    struct conf_faults faults = {0};
    char *lines;

    conf_faults_add(&faults, "a\nb", "c\r\nd\x1b\x7f");
    ck_assert_str_eq(faults.items[0].where, "a\\x0ab");
    ck_assert_str_eq(faults.items[0].text, "c\\x0d\\x0ad\\x1b\\x7f");
    conf_faults_clear(&faults);
    lines = faults_of("routes: ( { path = \"/a\"; action = \"x\\ny: fine\"; } );");
    ck_assert_str_eq(strchr(lines, '\n'), "\n");
    free(lines);
}
END_TEST

/* ---- overrides ------------------------------------------------------------------------------- */

static const char base[] = "server: { loops = 2; };\n"
                           "listeners: { main: { address = \"127.0.0.1:1\"; };\n"
                           "  more: { address = \"2\"; }; };\n"
                           "pools: { default: { threads = 5; queue_depth = 5; };\n"
                           "  extra: { }; };\n"
                           "routes: ( { path = \"/a\"; action = \"sleep\"; duration = \"1s\"; },\n"
                           "          { path = \"/b\"; action = \"respond\"; body = \"b\"; } );\n";

START_TEST(overrides_win_over_the_file)
{
    static const char *const overrides[] = {
        "server.loops=3",
        "server.drain_timeout=5m",
        "server.log_level=debug",
        "listeners.main.address=127.0.0.1:0",
        "listeners.more.address=unix:/m",
        "listeners.more.mode=0600",
        "pools.default.threads=7",
        "pools.default.queue_depth=0",
        "pools.extra.threads=auto",
        "pools.extra.stack_size=1m",
        "routes[0].duration=2.5",
        "routes[0].pool=extra",
        "routes.[1].body=a = \"b\"; # text",
        "routes[1].methods=(\"GET\", \"PUT\")",
        "routes[1].status=404",
        "pools.default.threads=8",
    };
    struct conf *conf =
        support_conf_good(support_write("base.conf", base), overrides, COUNT_OF(overrides));
    struct strbuf dump = {0};

    ck_assert_int_eq(conf->server.loops, 3);
    ck_assert_int_eq(conf->server.drain_timeout, 300 * NS_PER_SEC);
    ck_assert_int_eq(conf->server.log_level, 4);
    ck_assert_str_eq(conf->listeners[0].address, "127.0.0.1:0");
    ck_assert_str_eq(conf->listeners[1].name, "more");
    ck_assert_str_eq(conf->listeners[1].address, "unix:/m");
    ck_assert_int_eq(conf->listeners[1].mode, 0600);
    ck_assert_int_eq(conf->pools[0].threads, 8); /* the later one */
    ck_assert_int_eq(conf->pools[0].queue_depth, 0);
    ck_assert_str_eq(conf->pools[1].name, "extra");
    ck_assert_int_eq(conf->pools[1].threads, OPTION_WORD);
    ck_assert_int_eq(conf->pools[1].stack_size, 1 << 20);
    ck_assert_int_eq(conf->routes[0].pool_index, 1);
    ck_assert_uint_eq(conf->routes[1].method_mask, METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_PUT));
    conf_dump(conf, &dump);
    ck_assert_contains(strbuf_cstr(&dump), "duration = \"2.5s\";");
    ck_assert_contains(strbuf_cstr(&dump), "body = \"a = \\\"b\\\"; # text\";");
    ck_assert_contains(strbuf_cstr(&dump), "status = 404;");
    strbuf_free(&dump);
    conf_free(conf);
}
END_TEST

START_TEST(overrides_make_no_pools_or_listeners)
{
    static const char *const wrong[] = {"pools.defualt.threads=1", "listeners.mian.address=1"};
    static const char *const right[] = {"pools.default.threads=1", "listeners.main.address=1"};

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char *lines = faults_with("", wrong[i]);

        ck_assert_contains(lines, "no such place in the configuration");
        free(lines);
    }
    conf_free(support_conf_good(support_write("none.conf", ""), right, COUNT_OF(right)));
}
END_TEST

START_TEST(overrides_may_be_quoted_or_bare)
{
    static const struct {
        const char *override, *body;
    } rows[] = {
        {"routes[1].body=plain", "plain"},
        {"routes[1].body=\"quoted \\\"x\\\"\"", "quoted \"x\""},
        {"routes[1].body=", ""},
        {"routes[1].body=42", "42"},
        {"routes[1].body=007", "007"},
        {"routes[1].body=1.50", "1.50"},
        {"routes[1].body=true", "true"},
        {"routes[1].body=0x10", "0x10"},
        {"routes[1].body=a=b", "a=b"},
        {"routes[1].body=-", "-"},
        {"routes[1].body=@include \"x\"", "@include \"x\""},
        {"routes[1].body=99999999999999999999", "99999999999999999999"},
        {"routes[1].body= spaces ", " spaces "},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct conf *conf = with_override(base, rows[i].override);
        const struct option_row *row = option_find(conf->routes[1].action->options, "body");
        struct strbuf printed = {0}, expected = {0};

        option_print(row, conf->routes[1].settings, &printed);
        strbuf_add_quoted(&expected, rows[i].body);
        ck_assert_str_eq(strbuf_cstr(&printed), strbuf_cstr(&expected));
        strbuf_free(&printed);
        strbuf_free(&expected);
        conf_free(conf);
    }
}
END_TEST

/* Each is refused, and the fault is said to be the override's. */
START_TEST(wrong_overrides_are_faults)
{
    static const struct {
        const char *override, *expected;
    } rows[] = {
        {"server.loops", ""},
        {"=5", ""},
        {"", ""},
        {"server.loops=0", "server.loops: found 0; allowed: 1 to 64"},
        {"server.loops=many", "server.loops: found \"many\""},
        {"server.loops=4294967298", "found 4294967298"},
        {"server.lops=2", "unknown option \"lops\"; did you mean \"loops\"?"},
        {"server=5", "server: found 5; allowed: a group"},
        {"server.loops.x=5", ""},
        {"server..loops=5", ""},
        {"server.=5", ""},
        {".server=5", ""},
        {"routes[2].path=/c", "no such place"},
        {"routes[x].path=/c", "no such place"},
        {"routes[-1].path=/c", "no such place"},
        {"routes[].path=/c", "no such place"},
        {"routes[0.path=/c", "no such place"},
        {"routes[0]=5", "no such place"},
        {"pools.1.threads=2", ""},
        {"pools.a b.threads=2", ""},
        {"routes[1].status=100", "routes[1].status: found 100; allowed: 200 to 599"},
        {"routes[0].action=slep", "did you mean \"sleep\"?"},
        {"routes[0].pool=none", "routes[0].pool: found \"none\", which is not configured"},
        {"routes[1].path=/a", "matches the same requests as routes[0]"},
        {"pools.default.queue_depth=-1", "found -1"},
        {"pools.default.queue_depth=99999999999999999999", "found \"99999999999999999999\""},
        {"listeners.main.mode=888", "found \"888\""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *lines = faults_with(base, rows[i].override);
        struct strbuf where = {0};

        strbuf_addf(&where, "-o %s: ", rows[i].override);
        ck_assert_contains(lines, rows[i].expected);
        ck_assert_msg(strstr(lines, strbuf_cstr(&where)) != NULL,
                      "the fault of %s is said to be elsewhere: %s", rows[i].override, lines);
        strbuf_free(&where);
        free(lines);
    }
}
END_TEST

START_TEST(an_overridden_address_that_is_wrong_is_told_as_such)
{
    char *lines = faults_with(base, "listeners.main.address=nonsense");

    ck_assert_contains(lines, "-o listeners.main.address=nonsense: listeners.main.address: found");
    free(lines);
}
END_TEST

START_TEST(an_overridden_section_that_is_unknown_is_told_as_such)
{
    char *lines = faults_with(base, "pool.default.threads=2");

    ck_assert_contains(lines, "pool: unknown option \"pool\"; did you mean \"pools\"?");
    ck_assert_contains(lines, "-o pool.default.threads=2: ");
    free(lines);
}
END_TEST

START_TEST(an_overridden_number_is_what_was_written)
{
    static const struct {
        const char *override;
        int64_t depth;
    } rows[] = {
        {"pools.default.queue_depth=16", 16},  {"pools.default.queue_depth=0x10", 16},
        {"pools.default.queue_depth=16L", 16}, {"pools.default.queue_depth= 16", 16},
        {"pools.default.queue_depth=16 ", 16}, {"pools.default.queue_depth=+16", 16},
        {"pools.default.queue_depth=16;", 16},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct conf_source source = {support_write("base.conf", base), &rows[i].override, 1,
                                           registry_find, registry_at};
        struct conf_faults faults = {0};
        struct conf *conf = conf_load(&source, &faults);

        /* A fault is fine; another number is not. */
        ck_assert_msg(!conf || conf->pools[0].queue_depth == rows[i].depth, "%s gives %lld",
                      rows[i].override, (long long)conf->pools[0].queue_depth);
        conf_faults_clear(&faults);
        conf_free(conf);
    }
}
END_TEST

START_TEST(an_overridden_action_exists)
{
    static const char *const overrides[] = {"routes[0].action=5", "routes[0].action=true",
                                            "routes[0].action=1.5"};

    for (size_t i = 0; i < COUNT_OF(overrides); i++) {
        char *lines = faults_with(base, overrides[i]);

        ck_assert_contains(lines, "unknown action");
        free(lines);
    }
}
END_TEST

/* What an override cannot do must not be done by halves. */
START_TEST(overridden_groups_and_lists_arrive_whole_or_are_refused)
{
    static const struct {
        const char *override, *dumped;
    } rows[] = {
        {"routes[1].headers={ X-A = \"1\"; X-B = \"2\"; }", "headers = ( \"X-A: 1\", \"X-B: 2\" )"},
        {"routes[1].headers=( \"X-A: 1\", \"X-B: 2\" )", "headers = ( \"X-A: 1\", \"X-B: 2\" )"},
        {"routes[1].methods=( \"GET\", 5 )", "no such thing"},
        {"routes=( { path = \"/z\"; action = \"live\"; } )", "path = \"/z\""},
        {"pools.default={ threads = 3; }", "threads = 3;"},
        {"pools.default.queue_depth=3000000000", "no such thing"},
        {"routes[1]={ path = \"/z\"; action = \"live\"; }", "path = \"/z\""},
        {"server.loops=3; x=4", "no such thing"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct conf_source source = {support_write("base.conf", base), &rows[i].override, 1,
                                           registry_find, registry_at};
        struct conf_faults faults = {0};
        struct conf *conf = conf_load(&source, &faults);
        struct strbuf dump = {0};

        if (conf) {
            conf_dump(conf, &dump);
            ck_assert_msg(strstr(strbuf_cstr(&dump), rows[i].dumped) != NULL,
                          "-o '%s' was taken and did not lead to %s", rows[i].override,
                          rows[i].dumped);
        }
        strbuf_free(&dump);
        conf_faults_clear(&faults);
        conf_free(conf);
    }
}
END_TEST

START_TEST(an_index_is_not_cut_to_32_bits)
{
    char *lines = faults_with(base, "routes[4294967296].duration=2");

    ck_assert_contains(lines, "no such place");
    free(lines);
}
END_TEST

START_TEST(a_string_does_not_end_early)
{
    const char *path = support_write(
        "nul.conf", "routes: ( { path = \"/a\"; action = \"respond\"; body = \"a\\x00b\"; } );");
    const struct conf_source source = {path, NULL, 0, registry_find, registry_at};
    struct conf_faults faults = {0};
    struct conf *conf = conf_load(&source, &faults);

    ck_assert_msg(!conf, "a string with \\x00 was cut there, and nobody told");
    conf_faults_clear(&faults);
    conf_free(conf);
}
END_TEST

START_TEST(the_parser_tells_its_version)
{
    ck_assert_msg(conf_parser_version()[0] >= '1' && strchr(conf_parser_version(), '.'), "%s",
                  conf_parser_version());
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_empty_file_is_all_defaults,
        everything_can_be_said,
        the_default_pool_stands_before_the_others,
        routes_are_in_the_router,
        auto_is_worked_out_from_the_affinity_mask,
        files_are_found_beside_the_configuration,
        numbers_of_64_bits_arrive_whole,
        what_needs_a_restart_is_named,
        all_faults_are_told_in_one_go,
        each_fault_is_told_with_its_place,
        faults_in_an_included_file_have_its_place,
        a_missing_file_is_a_fault,
        too_many_listeners_are_a_fault,
        a_large_body_file_is_a_fault,
        a_large_header_block_is_a_fault,
        faults_are_added_and_cleared,
        a_fault_is_one_line,
        overrides_win_over_the_file,
        overrides_make_no_pools_or_listeners,
        overrides_may_be_quoted_or_bare,
        wrong_overrides_are_faults,
        an_overridden_address_that_is_wrong_is_told_as_such,
        an_overridden_section_that_is_unknown_is_told_as_such,
        an_overridden_number_is_what_was_written,
        an_overridden_action_exists,
        overridden_groups_and_lists_arrive_whole_or_are_refused,
        an_index_is_not_cut_to_32_bits,
        a_string_does_not_end_early,
        the_parser_tells_its_version,
    };

    return support_run("conf", tests, COUNT_OF(tests));
}
