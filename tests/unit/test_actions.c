/* The actions, each run on a request made by hand, and the registry. */
#include "action.h"
#include "clock.h"
#include "json_text.h"
#include "pool_json.h"
#include "snapshot.h"
#include "support.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static struct vitals vitals;
static struct snapshot *snapshot;
static struct request request;

/* A request for the first route of a configuration whose pools have no threads. */
static void begin(const char *routes)
{
    struct strbuf text = {0};

    strbuf_addf(&text,
                "listeners: { main: { address = \"127.0.0.1:0\"; }; };\n"
                "pools: { default: { threads = 3; queue_depth = 9; spawn = \"on-demand\"; }; \n"
                "         slow: { threads = 2; spawn = \"on-demand\"; }; };\n"
                "routes: ( %s );",
                routes);
    vitals_init(&vitals);
    snapshot = snapshot_new(support_conf_text(strbuf_cstr(&text)), &vitals);
    for (size_t i = 0; i < snapshot->conf->n_pools; i++) {
        const struct conf_pool *pool = &snapshot->conf->pools[i];
        const struct pool_settings settings = {.threads = (unsigned)pool->threads,
                                               .queue_depth = (unsigned)pool->queue_depth,
                                               .on_demand = true,
                                               .stack_size = 1 << 18};

        snapshot->pools[i] = pool_new(pool->name, NULL, NULL);
        ck_assert_int_eq(pool_configure(snapshot->pools[i], &settings), 0);
    }
    request = (struct request){.method = METHOD_GET,
                               .method_name = "GET",
                               .path = {"/a", 2},
                               .query = {"", 0},
                               .body = {"", 0},
                               .peer = "127.0.0.1",
                               .route = &snapshot->conf->routes[0],
                               .snapshot = snapshot};
    strbuf_free(&text);
}

static int run(void)
{
    const struct conf_route *route = request.route;

    return action_of(route->action)->run(&request, route->settings);
}

static void end(void)
{
    response_static(&request, 0, NULL, NULL, 0);
    snapshot_unref(snapshot);
    vitals_destroy(&vitals);
}

static void check_answer(int status, const char *content_type, const char *body)
{
    const struct response *response = &request.response;

    ck_assert_int_eq(response->status, status);
    if (content_type)
        ck_assert_str_eq(response->content_type, content_type);
    else
        ck_assert_ptr_null(response->content_type);
    ck_assert_uint_eq(response->body_len, strlen(body));
    ck_assert_mem_eq(response->body, body, strlen(body));
}

static json_t *answered_json(void)
{
    json_t *document = json_loadb(request.response.body, request.response.body_len, 0, NULL);

    ck_assert_int_eq(request.response.status, 200);
    ck_assert_str_eq(request.response.content_type, "application/json");
    ck_assert_ptr_nonnull(document);
    return document;
}

/* ---- registry -------------------------------------------------------------------------------- */

START_TEST(every_action_is_registered_once)
{
    static const char *const names[] = {"respond", "redirect", "echo",   "delay", "pool",
                                        "live",    "ready",    "status", "sleep", "spin"};
    size_t count = 0;

    for (; registry_at(count); count++) {
        const struct conf_action *conf = registry_at(count);

        ck_assert_ptr_eq(registry_find(conf->name), conf);
        ck_assert_ptr_eq(&action_of(conf)->conf, conf);
        ck_assert_ptr_nonnull(action_of(conf)->run);
        ck_assert(conf->doc && *conf->doc);
        ck_assert(conf->methods && conf->methods[0]);
        for (size_t i = 0; conf->methods[i]; i++)
            ck_assert_int_ne(http_method_find(conf->methods[i]), METHOD_UNKNOWN);
    }
    ck_assert_uint_ge(count, COUNT_OF(names));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_msg(registry_find(names[i]) != NULL, "%s", names[i]);
    ck_assert_ptr_null(registry_find("Respond"));
    ck_assert_ptr_null(registry_find(""));
    ck_assert_ptr_null(registry_at(count + 1));
}
END_TEST

START_TEST(only_sleep_and_spin_block)
{
    for (size_t i = 0; registry_at(i); i++) {
        const char *name = registry_at(i)->name;

        if (!strcmp(name, "sleep") || !strcmp(name, "spin"))
            ck_assert_msg(registry_at(i)->blocking, "%s", name);
        if (!strcmp(name, "delay") || !strcmp(name, "respond") || !strcmp(name, "status"))
            ck_assert_msg(!registry_at(i)->blocking, "%s", name);
    }
}
END_TEST

/* All rows of an action must be readable by the tables' own tools. */
START_TEST(every_option_row_is_whole)
{
    for (size_t i = 0; registry_at(i); i++) {
        const struct conf_action *conf = registry_at(i);
        void *settings = calloc(1, conf->settings_size + 1);

        ck_assert_int_eq(option_set_defaults(conf->options, settings), 0);
        for (const struct option_row *row = conf->options; row && row->name; row++) {
            struct strbuf text = {0};

            ck_assert_msg(row->doc && *row->doc, "%s.%s", conf->name, row->name);
            ck_assert_uint_lt(row->offset, conf->settings_size);
            option_print_allowed(row, &text);
            ck_assert_msg(text.len, "%s.%s", conf->name, row->name);
            strbuf_free(&text);
        }
        option_clear_all(conf->options, settings);
        free(settings);
    }
}
END_TEST

/* ---- answers --------------------------------------------------------------------------------- */

START_TEST(respond_answers_from_the_configuration)
{
    begin("{ path = \"/a\"; action = \"respond\"; body = \"hello\"; status = 418;\n"
          "  content_type = \"text/x\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(418, "text/x", "hello");
    ck_assert_ptr_null(request.response.owned_body);
    end();
    begin("{ path = \"/a\"; action = \"respond\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "");
    end();
}
END_TEST

START_TEST(respond_answers_with_a_file)
{
    support_write_bytes("bytes", "a\0b\xff", 4);
    support_write("empty", "");
    begin("{ path = \"/a\"; action = \"respond\"; body_file = \"bytes\"; }");
    ck_assert_int_eq(run(), 0);
    ck_assert_uint_eq(request.response.body_len, 4);
    ck_assert_mem_eq(request.response.body, "a\0b\xff", 4);
    end();
    begin("{ path = \"/a\"; action = \"respond\"; body_file = \"empty\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "");
    end();
}
END_TEST

START_TEST(respond_keeps_the_file_as_it_was_read)
{
    support_write("changing", "before");
    begin("{ path = \"/a\"; action = \"respond\"; body_file = \"changing\"; }");
    support_write("changing", "after, and longer");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "before");
    end();
}
END_TEST

START_TEST(redirect_names_the_place)
{
    begin("{ path = \"/a\"; action = \"redirect\"; location = \"/b?c=%20\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(302, NULL, "");
    ck_assert_uint_eq(request.response.n_headers, 1);
    ck_assert_str_eq(request.response.headers[0].name, "Location");
    ck_assert_str_eq(request.response.headers[0].value, "/b?c=%20");
    end();
    begin("{ path = \"/a\"; action = \"redirect\"; location = \"http://h/\"; status = 308; }");
    ck_assert_int_eq(run(), 0);
    check_answer(308, NULL, "");
    end();
}
END_TEST

START_TEST(delay_is_held_by_the_loop)
{
    begin("{ path = \"/a\"; action = \"delay\"; duration = \"250ms\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "done\n");
    ck_assert_int_eq(request.response.hold_ns, 250 * NS_PER_MS);
    end();
}
END_TEST

START_TEST(live_is_live)
{
    begin("{ path = \"/a\"; action = \"live\"; }");
    atomic_store(&vitals.draining, true);
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "live\n");
    end();
}
END_TEST

START_TEST(ready_is_not_ready_while_draining)
{
    begin("{ path = \"/a\"; action = \"ready\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "ready\n");
    atomic_store(&vitals.draining, true);
    ck_assert_int_eq(run(), 0);
    check_answer(503, "text/plain; charset=utf-8", "draining\n");
    end();
}
END_TEST

/* ---- echo ------------------------------------------------------------------------------------ */

static void check_member(const json_t *document, const char *name, const char *expected)
{
    const char *text = json_string_value(json_object_get(document, name));

    ck_assert_msg(text && !strcmp(text, expected), "%s is \"%s\" instead of \"%s\"", name,
                  text ? text : "(none)", expected);
}

START_TEST(echo_tells_the_request)
{
    struct header headers[] = {{"Host", "h"}, {"X-A", "\xc3\xa4\xff"}, {"X-B", ""}};
    json_t *document;

    begin("{ path = \"/a/{id}/*\"; action = \"echo\"; }");
    request.method_name = "PUT";
    request.path = (struct slice){"/a/1/x\xff", 7};
    request.query = (struct slice){"q=%20&r", 7};
    request.headers = headers;
    request.n_headers = 3;
    request.body = (struct slice){"body", 4};
    request.match =
        (struct route_match){.params = {{"id", "1/x", 1}, {"rest", "x\xff", 2}}, .n_params = 2};
    ck_assert_int_eq(run(), 0);
    document = answered_json();
    check_member(document, "method", "PUT");
    check_member(document, "path", "/a/1/x\xef\xbf\xbd");
    check_member(document, "query", "q=%20&r");
    check_member(document, "body", "body");
    check_member(document, "peer", "127.0.0.1");
    ck_assert_ptr_null(json_object_get(document, "body_encoding"));
    check_member(json_object_get(document, "headers"), "Host", "h");
    check_member(json_object_get(document, "headers"), "X-A", "\xc3\xa4\xef\xbf\xbd");
    check_member(json_object_get(document, "headers"), "X-B", "");
    ck_assert_uint_eq(json_object_size(json_object_get(document, "headers")), 3);
    check_member(json_object_get(document, "params"), "id", "1");
    check_member(json_object_get(document, "params"), "rest", "x\xef\xbf\xbd");
    json_decref(document);
    end();
}
END_TEST

START_TEST(echo_shows_other_bytes_in_base64)
{
    json_t *document;

    begin("{ path = \"/a\"; action = \"echo\"; }");
    request.body = (struct slice){"\0\xff", 2};
    ck_assert_int_eq(run(), 0);
    document = answered_json();
    check_member(document, "body", "AP8=");
    check_member(document, "body_encoding", "base64");
    ck_assert_uint_eq(json_object_size(json_object_get(document, "headers")), 0);
    ck_assert_uint_eq(json_object_size(json_object_get(document, "params")), 0);
    json_decref(document);
    end();
}
END_TEST

START_TEST(echo_joins_fields_of_one_name)
{
    struct header headers[] = {{"X-A", "1"}, {"X-B", "2"}, {"X-A", "3"}};
    json_t *document;

    begin("{ path = \"/a\"; action = \"echo\"; }");
    request.headers = headers;
    request.n_headers = 3;
    ck_assert_int_eq(run(), 0);
    document = answered_json();
    check_member(json_object_get(document, "headers"), "X-A", "1, 3");
    check_member(json_object_get(document, "headers"), "X-B", "2");
    json_decref(document);
    end();
}
END_TEST

/* Names are the same in any case (RFC 9110, 5.1). */
START_TEST(echo_joins_fields_whose_names_differ_in_case)
{
    struct header headers[] = {{"X-A", "1"}, {"x-a", "2"}};
    json_t *document;

    begin("{ path = \"/a\"; action = \"echo\"; }");
    request.headers = headers;
    request.n_headers = 2;
    ck_assert_int_eq(run(), 0);
    document = answered_json();
    ck_assert_uint_eq(json_object_size(json_object_get(document, "headers")), 1);
    json_decref(document);
    end();
}
END_TEST

/* ---- pools and status ------------------------------------------------------------------------ */

static int64_t number(const json_t *document, const char *name)
{
    const json_t *value = json_object_get(document, name);

    ck_assert_msg(json_is_integer(value), "%s is no integer", name);
    return json_integer_value(value);
}

START_TEST(pool_shows_all_its_numbers)
{
    json_t *document;

    begin("{ path = \"/a\"; action = \"pool\"; pool = \"slow\"; }");
    ck_assert_int_eq(run(), 0);
    document = answered_json();
    check_member(document, "name", "slow");
    ck_assert_int_eq(number(document, "threads"), 2);
    ck_assert_int_eq(number(document, "available"), 2);
    ck_assert_int_eq(number(document, "queue_depth"), 400);
    for (size_t i = 0; pool_json_fields[i]; i++)
        ck_assert_int_ge(number(document, pool_json_fields[i]), 0);
    ck_assert_int_eq(number(document, "submitted"),
                     number(document, "ran") + number(document, "rejected") +
                         number(document, "queued") + number(document, "running"));
    ck_assert(json_is_object(json_object_get(document, "rejected_by_reason")));
    json_decref(document);
    end();
}
END_TEST

START_TEST(pool_shows_one_number_alone)
{
    begin("{ path = \"/a\"; action = \"pool\"; field = \"queue_depth\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "9");
    end();
    begin("{ path = \"/a\"; action = \"pool\"; field = \"busy\"; pool = \"slow\"; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "0");
    end();
}
END_TEST

START_TEST(each_field_is_its_number)
{
    static const struct pool_stats stats = {.threads = 1,
                                            .active = 2,
                                            .busy = 3,
                                            .idle = 4,
                                            .books.queued = 5,
                                            .available = 6,
                                            .queue_depth = 7,
                                            .parked = 8};
    static const char *const names[] = {"threads", "active",    "busy",        "idle",
                                        "queued",  "available", "queue_depth", "parked"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t at = 0;

        while (pool_json_fields[at] && strcmp(pool_json_fields[at], names[i]) != 0)
            at++;
        ck_assert_msg(pool_json_fields[at] != NULL, "%s", names[i]);
        ck_assert_uint_eq(pool_json_field(&stats, at), i + 1);
    }
}
END_TEST

START_TEST(status_shows_everything)
{
    json_t *document, *config, *listener, *route, *last;

    begin("{ path = \"/a\"; action = \"status\"; },\n"
          "{ path = \"/s\"; action = \"sleep\"; duration = 1; pool = \"slow\"; }");
    snapshot->generation = 7;
    snapshot->bound[0] = strdup("127.0.0.1:12345");
    route_part_add(meter_route_part(snapshot->route_meters[0], 0), METHOD_GET, 200, 1, 1);
    route_part_add(meter_route_part(snapshot->no_route_meter, 5), METHOD_GET, 404, 1, 1);
    vitals_note_reload(&vitals, false, "no good");
    ck_assert_int_eq(run(), 0);
    document = answered_json();
    check_member(document, "version", HANDOFFD_VERSION);
    ck_assert_int_eq(number(document, "requests"), 2);
    ck_assert(json_is_false(json_object_get(document, "draining")));
    ck_assert(json_is_number(json_object_get(document, "uptime_seconds")));
    config = json_object_get(document, "config");
    ck_assert_int_eq(number(config, "generation"), 7);
    ck_assert_contains(json_string_value(json_object_get(config, "file")), "text.conf");
    ck_assert_int_eq(number(json_object_get(document, "reloads"), "failed"), 1);
    ck_assert_int_eq(number(json_object_get(document, "reloads"), "succeeded"), 0);
    last = json_object_get(json_object_get(document, "reloads"), "last");
    check_member(last, "message", "no good");
    ck_assert(json_is_false(json_object_get(last, "ok")));
    listener = json_array_get(json_object_get(document, "listeners"), 0);
    check_member(listener, "name", "main");
    check_member(listener, "address", "127.0.0.1:12345");
    ck_assert_uint_eq(json_object_size(json_object_get(document, "pools")), 2);
    ck_assert_int_eq(number(json_object_get(json_object_get(document, "pools"), "slow"), "threads"),
                     2);
    route = json_array_get(json_object_get(document, "routes"), 1);
    check_member(route, "path", "/s");
    check_member(route, "action", "sleep");
    check_member(route, "pool", "slow");
    route = json_array_get(json_object_get(document, "routes"), 0);
    check_member(route, "methods", "GET, HEAD, OPTIONS");
    ck_assert_ptr_null(json_object_get(route, "pool"));
    json_decref(document);
    end();
}
END_TEST

/* ---- blocking actions ------------------------------------------------------------------------ */

START_TEST(sleep_lasts_its_duration)
{
    int64_t before = clock_now_ns();

    begin("{ path = \"/a\"; action = \"sleep\"; duration = \"2ms\"; }");
    ck_assert_int_eq(run(), 0);
    ck_assert_int_ge(clock_now_ns() - before, 2 * NS_PER_MS);
    check_answer(200, "text/plain; charset=utf-8", "done\n");
    end();
    begin("{ path = \"/a\"; action = \"sleep\"; duration = 0; }");
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "done\n");
    end();
}
END_TEST

START_TEST(spin_uses_its_duration_of_cpu_time)
{
    int64_t before = clock_thread_cpu_ns();

    begin("{ path = \"/a\"; action = \"spin\"; duration = \"2ms\"; }");
    ck_assert_int_eq(run(), 0);
    ck_assert_int_ge(clock_thread_cpu_ns() - before, 2 * NS_PER_MS);
    check_answer(200, "text/plain; charset=utf-8", "done\n");
    end();
}
END_TEST

START_TEST(cancelled_work_ends_early)
{
    static const char *const names[] = {"sleep", "spin"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct strbuf route = {0};

        strbuf_addf(&route, "{ path = \"/a\"; action = \"%s\"; duration = \"1h\"; }", names[i]);
        begin(strbuf_cstr(&route));
        task_cancel(&request.task);
        ck_assert_int_eq(run(), -ECANCELED);
        ck_assert_int_eq(request.response.status, 0);
        strbuf_free(&route);
        end();
    }
}
END_TEST

START_TEST(digests_are_those_of_the_standards)
{
    static const char *const table[][2] = {
        {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"},
        {"sha1", "a9993e364706816aba3e25717850c26c9cd0d89d\n"},
        {"md5", "900150983cd24fb0d6963f7d28e17f72\n"},
        {"sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532\n"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct strbuf route = {0};

        strbuf_addf(&route, "{ path = \"/a\"; action = \"digest\"; algorithm = \"%s\"; }",
                    table[i][0]);
        begin(strbuf_cstr(&route));
        request.body = (struct slice){"abc", 3};
        ck_assert_int_eq(run(), 0);
        check_answer(200, "text/plain; charset=utf-8", table[i][1]);
        strbuf_free(&route);
        end();
    }
}
END_TEST

START_TEST(a_cancelled_digest_ends_early)
{
    begin("{ path = \"/a\"; action = \"digest\"; }");
    request.body = (struct slice){"abc", 3};
    task_cancel(&request.task);
    ck_assert_int_eq(run(), -ECANCELED);
    end();
}
END_TEST

static json_t *resolved(const char *query)
{
    request.query = (struct slice){query, strlen(query)};
    arena_init(&request.arena, NULL, 0);
    ck_assert_int_eq(run(), 0);
    return answered_json();
}

START_TEST(addresses_resolve_to_themselves)
{
    static const char *const table[][3] = {{"name=127.0.0.1", "127.0.0.1", "ipv4"},
                                           {"name=%3A%3A1", "::1", "ipv6"}};

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        json_t *document, *first;

        begin("{ path = \"/a\"; action = \"resolve\"; }");
        document = resolved(table[i][0]);
        first = json_array_get(json_object_get(document, "addresses"), 0);
        ck_assert_uint_eq(json_array_size(json_object_get(document, "addresses")), 1);
        ck_assert_str_eq(json_string_value(json_object_get(first, "address")), table[i][1]);
        ck_assert_str_eq(json_string_value(json_object_get(first, "family")), table[i][2]);
        ck_assert_ptr_nonnull(json_object_get(document, "host"));
        json_decref(document);
        arena_clear(&request.arena);
        end();
    }
}
END_TEST

START_TEST(localhost_has_an_address)
{
    struct addrinfo *found = NULL;
    json_t *document, *first;

    if (getaddrinfo("localhost", NULL, NULL, &found)) {
        fprintf(stderr, "skipped: this system does not know localhost\n");
        return;
    }
    freeaddrinfo(found);
    begin("{ path = \"/a\"; action = \"resolve\"; name = \"localhost\"; family = \"ipv4\"; }");
    document = resolved("");
    first = json_array_get(json_object_get(document, "addresses"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(first, "address")), "127.0.0.1");
    ck_assert_str_eq(json_string_value(json_object_get(document, "name")), "localhost");
    ck_assert_ptr_null(json_object_get(document, "host"));
    json_decref(document);
    arena_clear(&request.arena);
    end();
}
END_TEST

START_TEST(names_that_are_none_are_refused)
{
    static const struct {
        const char *query;
        int status;
    } table[] = {{"", 400}, {"name=a%00b", 400}, {"name=1.2.3.4.5.6", 0}};

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        begin("{ path = \"/a\"; action = \"resolve\"; }");
        arena_init(&request.arena, NULL, 0);
        request.query = (struct slice){table[i].query, strlen(table[i].query)};
        ck_assert_int_eq(run(), 0);
        if (table[i].status)
            ck_assert_int_eq(request.response.status, table[i].status);
        else
            ck_assert(request.response.status == 404 || request.response.status == 502);
        ck_assert_str_eq(request.response.content_type, "application/problem+json");
        arena_clear(&request.arena);
        end();
    }
}
END_TEST

START_TEST(exec_counts_the_time_of_its_children)
{
    begin("{ path = \"/a\"; action = \"exec\"; command = ( \"sh\", \"-c\", \"(i=0; while test "
          "$i -lt 20000; do i=$((i+1)); done) & wait; echo done\" ); }");
    arena_init(&request.arena, NULL, 0);
    ck_assert_int_eq(run(), 0);
    check_answer(200, "text/plain; charset=utf-8", "done\n");
    ck_assert_int_gt(request.task.children_cpu_ns, 0);
    ck_assert_int_lt(request.task.children_cpu_ns, 600 * NS_PER_SEC);
    arena_clear(&request.arena);
    end();
}
END_TEST

START_TEST(a_cancelled_exec_ends_early)
{
    begin("{ path = \"/a\"; action = \"exec\"; command = ( \"sleep\", \"1000\" ); }");
    arena_init(&request.arena, NULL, 0);
    task_cancel(&request.task);
    ck_assert_int_eq(run(), -ECANCELED);
    ck_assert_int_eq(request.response.status, 0);
    arena_clear(&request.arena);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_action_is_registered_once,
        only_sleep_and_spin_block,
        every_option_row_is_whole,
        respond_answers_from_the_configuration,
        respond_answers_with_a_file,
        respond_keeps_the_file_as_it_was_read,
        redirect_names_the_place,
        delay_is_held_by_the_loop,
        live_is_live,
        ready_is_not_ready_while_draining,
        echo_tells_the_request,
        echo_shows_other_bytes_in_base64,
        echo_joins_fields_of_one_name,
        echo_joins_fields_whose_names_differ_in_case,
        pool_shows_all_its_numbers,
        pool_shows_one_number_alone,
        each_field_is_its_number,
        status_shows_everything,
        sleep_lasts_its_duration,
        spin_uses_its_duration_of_cpu_time,
        cancelled_work_ends_early,
        digests_are_those_of_the_standards,
        a_cancelled_digest_ends_early,
        exec_counts_the_time_of_its_children,
        a_cancelled_exec_ends_early,
        addresses_resolve_to_themselves,
        localhost_has_an_address,
        names_that_are_none_are_refused,
    };

    return support_run("actions", tests, COUNT_OF(tests));
}
