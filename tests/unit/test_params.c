/* Declared parameters and templates, each on a request made by hand. */
#include "action.h"
#include "clock.h"
#include "params.h"
#include "snapshot.h"
#include "support.h"
#include "template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct conf *conf;
static struct request request;
static json_t *faults;

/* A request for a route "/a/{id}/..." with these parameters. */
static void begin(const char *params)
{
    struct strbuf text = {0};

    strbuf_addf(&text, "routes: ( { path = \"/a/{id}/*\"; action = \"echo\"; params = ( %s ); } );",
                params);
    conf = support_conf_text(strbuf_cstr(&text));
    request = (struct request){.method_name = "GET",
                               .path = {"/a/7/b c", 8},
                               .query = {"", 0},
                               .body = {"", 0},
                               .peer = "192.0.2.1",
                               .id = "some-id",
                               .route = &conf->routes[0]};
    request.match.params[0] = (struct route_param){"id", "7/b c", 1};
    request.match.params[1] = (struct route_param){"rest", "b c", 3};
    request.match.n_params = 2;
    arena_init(&request.arena, NULL, 0);
    strbuf_free(&text);
}

static void end(void)
{
    json_decref(faults);
    faults = NULL;
    arena_clear(&request.arena);
    conf_free(conf);
}

static void set_query(const char *query)
{
    request.query = (struct slice){query, strlen(query)};
}

/* ---- parameters ------------------------------------------------------------------------------ */

static const char *detail(size_t i)
{
    return json_string_value(json_object_get(json_array_get(faults, i), "detail"));
}

/* One parameter "x" of the query: `query` must be taken as `text`, or refused with `text` in it. */
static void check_value(const char *declared, const char *query, bool good, const char *text)
{
    struct strbuf param = {0};
    int r;

    strbuf_addf(&param, "{ name = \"x\"; in = \"query\"; %s }", declared);
    begin(strbuf_cstr(&param));
    set_query(query);
    r = params_read(&request, &faults);
    ck_assert_msg(r == (good ? 0 : -EINVAL), "%s with %s", declared, query);
    if (good) {
        ck_assert_str_eq(request.params[0].text, text);
    } else {
        ck_assert_uint_eq(json_array_size(faults), 1);
        ck_assert_contains(detail(0), text);
    }
    end();
    strbuf_free(&param);
}

START_TEST(values_are_judged_by_their_type)
{
    static const struct {
        const char *declared, *query;
        bool good;
        const char *text;
    } table[] = {
        {"", "x=any+%c3%a4", true, "any \xc3\xa4"},
        {"", "x=", true, ""},
        {"", "", false, "missing"},
        {"", "y=1", false, "missing"},
        {"", "x=1&x=2", false, "more than once"},
        {"", "x=a%00b", false, "NUL"},
        {"max_length = 3;", "x=abc", true, "abc"},
        {"max_length = 3;", "x=abcd", false, "3 bytes"},
        {"pattern = \"[a-z]+\";", "x=abc", true, "abc"},
        {"pattern = \"[a-z]+\";", "x=abc1", false, "[a-z]+"},
        {"pattern = \"[a-z]+\";", "x=abc%0a", false, "[a-z]+"},
        {"pattern = \"a|b\";", "x=b", true, "b"},
        {"pattern = \"a|b\";", "x=ab", false, "a|b"},
        {"type = \"int\";", "x=-12", true, "-12"},
        {"type = \"int\";", "x=9223372036854775807", true, "9223372036854775807"},
        {"type = \"int\";", "x=9223372036854775808", false, "whole number"},
        {"type = \"int\";", "x=1.0", false, "whole number"},
        {"type = \"int\";", "x=", false, "\"\""},
        {"type = \"int\";", "x=+1", false, "whole number"},
        {"type = \"int\"; min = 1; max = 5;", "x=0", false, "from 1 to 5"},
        {"type = \"int\"; min = 1; max = 5;", "x=6", false, "from 1 to 5"},
        {"type = \"int\"; min = 1; max = 5;", "x=5", true, "5"},
        {"type = \"int\"; min = -3;", "x=-4", false, "at least -3"},
        {"type = \"int\"; max = \"3\";", "x=4", false, "at most 3"},
        {"type = \"number\";", "x=1e3", true, "1e3"},
        {"type = \"number\";", "x=0x10", false, "a number"},
        {"type = \"number\";", "x=nan", false, "a number"},
        {"type = \"number\";", "x=1e999", false, "a number"},
        {"type = \"number\";", "x=1e", false, "a number"},
        {"type = \"number\"; min = 0.5; max = 2;", "x=0.4", false, "from 0.5 to 2"},
        {"type = \"number\"; min = 0.5; max = 2;", "x=2", true, "2"},
        {"type = \"bool\";", "x=on", true, "true"},
        {"type = \"bool\";", "x=0", true, "false"},
        {"type = \"bool\";", "x=TRUE", false, "true or false"},
        {"type = \"bool\";", "x", false, "true or false"},
        {"type = \"duration\";", "x=250ms", true, "250ms"},
        {"type = \"duration\";", "x=61m", false, "to 1h"},
        {"type = \"duration\"; max = \"10s\";", "x=11", false, "to 10s"},
        {"type = \"duration\"; min = \"1s\";", "x=0.5", false, "from 1s"},
        {"type = \"duration\";", "x=-1", false, "a duration"},
        {"type = \"enum\"; values = [\"a\", \"b c\"];", "x=b+c", true, "b c"},
        {"type = \"enum\"; values = [\"a\", \"b c\"];", "x=c", false, "\"a\" or \"b c\""},
        {"default = \"d\";", "", true, "d"},
        {"default = \"d\";", "x=e", true, "e"},
        {"type = \"int\"; default = 3;", "", true, "3"},
        {"type = \"number\"; default = 0.1;", "", true, "0.1"},
        {"type = \"bool\"; default = true;", "", true, "true"},
        {"type = \"duration\"; default = 2;", "", true, "2"},
        {"type = \"int\"; default = 3;", "x=a", false, "whole number"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_value(table[i].declared, table[i].query, table[i].good, table[i].text);
}
END_TEST

START_TEST(every_place_is_read)
{
    struct header headers[] = {
        {"X-One", "1"}, {"content-type", "application/x-www-form-urlencoded"}, {"x-one", "2"}};

    begin("{ name = \"id\"; in = \"path\"; type = \"int\"; },\n"
          "{ name = \"rest\"; in = \"path\"; },\n"
          "{ name = \"q\"; in = \"query\"; },\n"
          "{ name = \"X-ONE\"; in = \"header\"; },\n"
          "{ name = \"f\"; in = \"form\"; }");
    ck_assert_uint_eq(request.route->needs, ACTION_NEEDS_HEADERS | ACTION_NEEDS_BODY);
    set_query("q=Q&f=no");
    request.headers = headers;
    request.n_headers = COUNT_OF(headers);
    request.body = (struct slice){"f=F&q=no", 8};
    ck_assert_int_eq(params_read(&request, &faults), 0);
    ck_assert_int_eq(request.params[0].integer, 7);
    ck_assert_str_eq(request.params[1].text, "b c");
    ck_assert_str_eq(request.params[2].text, "Q");
    ck_assert_str_eq(request.params[3].text, "1, 2");
    ck_assert_str_eq(request.params[4].text, "F");
    end();
}
END_TEST

START_TEST(every_fault_is_told)
{
    struct header headers[] = {{"Content-Type", "text/plain"}};

    begin("{ name = \"id\"; in = \"path\"; type = \"bool\"; },\n"
          "{ name = \"q\"; type = \"int\"; },\n"
          "{ name = \"good\"; },\n"
          "{ name = \"X-A\"; in = \"header\"; },\n"
          "{ name = \"f\"; in = \"form\"; }");
    set_query("q=z&good=1");
    request.headers = headers;
    request.n_headers = 1;
    request.body = (struct slice){"f=F", 3};
    ck_assert_int_eq(params_read(&request, &faults), -EINVAL);
    ck_assert_uint_eq(json_array_size(faults), 4);
    for (size_t i = 0; i < 4; i++) {
        static const char *const expected[][3] = {{"path", "id", "true or false"},
                                                  {"query", "q", "whole number"},
                                                  {"header", "X-A", "missing"},
                                                  {"form", "f", "Content-Type"}};
        const json_t *fault = json_array_get(faults, i);

        ck_assert_str_eq(json_string_value(json_object_get(fault, "in")), expected[i][0]);
        ck_assert_str_eq(json_string_value(json_object_get(fault, "name")), expected[i][1]);
        ck_assert_contains(detail(i), expected[i][2]);
    }
    end();
}
END_TEST

START_TEST(a_form_that_cannot_be_read_is_a_fault)
{
    struct header headers[] = {{"Content-Type", "multipart/form-data; boundary=X"}};

    begin("{ name = \"f\"; in = \"form\"; default = \"d\"; }");
    request.headers = headers;
    request.n_headers = 1;
    request.body = (struct slice){"--X\r\n", 5};
    ck_assert_int_eq(params_read(&request, &faults), -EINVAL);
    ck_assert_uint_eq(json_array_size(faults), 1);
    ck_assert_contains(detail(0), "delimiter");
    end();
}
END_TEST

START_TEST(values_become_json_of_their_type)
{
    static const char *const expected[] = {"7", "1.5", "true", "\"1s\"", "\"z\""};

    begin("{ name = \"i\"; type = \"int\"; }, { name = \"n\"; type = \"number\"; },\n"
          "{ name = \"b\"; type = \"bool\"; }, { name = \"d\"; type = \"duration\"; },\n"
          "{ name = \"s\"; }");
    set_query("i=7&n=1.5&b=yes&d=1s&s=z");
    ck_assert_int_eq(params_read(&request, &faults), 0);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        json_t *value = params_json(option_group_at(&param_group, &request.route->params, i),
                                    &request.params[i]);
        char *text = json_dumps(value, JSON_ENCODE_ANY);

        ck_assert_str_eq(text, expected[i]);
        free(text);
        json_decref(value);
    }
    end();
}
END_TEST

/* ---- templates ------------------------------------------------------------------------------- */

static const char *locate(const struct conf_check *check, const char *option)
{
    (void)check;
    (void)option;
    return "here";
}

/* Compiles for the request's route.  Without `expected_fault` there must be none. */
static struct template *compile(const char *text, enum template_use use, const char *expected_fault)
{
    struct conf_faults found = {0};
    unsigned needs = 0;
    const struct conf_check check = {.conf = conf,
                                     .route = &conf->routes[0],
                                     .needs = &needs,
                                     .faults = &found,
                                     .locate = locate};
    struct template *template;

    ck_assert_int_eq(template_compile(&check, "option", text, use, &template), 0);
    if (expected_fault) {
        ck_assert_ptr_null(template);
        ck_assert_uint_eq(found.count, 1);
        ck_assert_contains(found.items[0].text, expected_fault);
        ck_assert_contains(found.items[0].text, "routes[0].option: ");
    } else {
        ck_assert_msg(found.count == 0, "%s", found.count ? found.items[0].text : "");
    }
    conf_faults_clear(&found);
    return template;
}

static void check_expansion(const char *text, enum template_use use, int result,
                            const char *expected, size_t len)
{
    struct template *template = compile(text, use, NULL);
    struct slice out = {0};
    const char *why = "";

    ck_assert_msg(template_expand(template, &request, &out, &why) == result, "%s: %s", text, why);
    if (result) {
        ck_assert_contains(why, expected);
    } else {
        ck_assert_uint_eq(out.len, len);
        ck_assert_mem_eq(out.data, expected, len + 1);
    }
    template_free(template);
}

static void begin_template(void)
{
    static struct header headers[] = {{"X-H", "h1"}, {"x-h", "h2"}};

    begin("{ name = \"p\"; in = \"query\"; }");
    request.headers = headers;
    request.n_headers = COUNT_OF(headers);
    set_query("p=P&q=a+b&crlf=%0d%0aX:y&nul=%00&up=../..&name=$%7bbody%7d");
    request.body = (struct slice){"bo\0dy", 5};
    ck_assert_int_eq(params_read(&request, &faults), 0);
}

START_TEST(every_name_is_filled_in)
{
    static const struct {
        const char *text, *result;
    } table[] = {
        {"", ""},
        {"plain", "plain"},
        {"${path.id}", "7"},
        {"<${path.rest}>", "<b c>"},
        {"${query.q}${query.none}|", "a b|"},
        {"${header.X-h}${header.none}", "h1, h2"},
        {"${param.p}", "P"},
        {"${remote_addr} ${method}", "192.0.2.1 GET"},
        {"${request_path}", "/a/7/b c"},
        {"${request_id}", "some-id"},
        {"$${path.id}", "${path.id}"},
        {"$$${path.id}", "$${path.id}"},
        {"$ $$ $a {x} }", "$ $$ $a {x} }"},
        {"a$${b${path.id}c$", "a${b7c$"},
        {"${query.name}", "${body}"},
    };

    begin_template();
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_expansion(table[i].text, TEMPLATE_TEXT, 0, table[i].result, strlen(table[i].result));
    check_expansion("<${body}>", TEMPLATE_TEXT, 0, "<bo\0dy>", 7);
    end();
}
END_TEST

START_TEST(constants_are_known_as_such)
{
    static const char *const texts[][2] = {
        {"", ""}, {"a", "a"}, {"$${a}", "${a}"}, {"${path.id}", NULL}};

    begin_template();
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct template *template = compile(texts[i][0], TEMPLATE_TEXT, NULL);

        if (texts[i][1])
            ck_assert_str_eq(template_constant(template), texts[i][1]);
        else
            ck_assert_ptr_null(template_constant(template));
        template_free(template);
    }
    ck_assert_ptr_null(template_constant(NULL));
    end();
}
END_TEST

START_TEST(values_that_do_not_fit_are_refused)
{
    static const struct {
        const char *text;
        enum template_use use;
        const char *why;
    } table[] = {
        {"${query.crlf}", TEMPLATE_HEADER, "${query.crlf} has a line break"},
        {"${query.crlf}", TEMPLATE_URI, "line break"},
        {"${query.nul}", TEMPLATE_HEADER, "NUL"},
        {"x${query.nul}", TEMPLATE_ARGUMENT, "NUL"},
        {"${query.nul}", TEMPLATE_PATH, "NUL"},
        {"${body}", TEMPLATE_ARGUMENT, "${body} has a NUL"},
        {"/srv/${query.up}", TEMPLATE_PATH, "segment"},
        {"/srv/.${query.none}./x", TEMPLATE_PATH, "segment"},
        {"/srv/.${query.none}", TEMPLATE_PATH, "segment"},
    };

    begin_template();
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_expansion(table[i].text, table[i].use, -EINVAL, table[i].why, 0);
    check_expansion("${query.crlf}", TEMPLATE_ARGUMENT, 0, "\r\nX:y", 5);
    check_expansion("/srv/..${query.p}/${path.id}", TEMPLATE_PATH, 0, "/srv/..P/7", 10);
    end();
}
END_TEST

START_TEST(uris_are_escaped)
{
    begin_template();
    request.match.params[1] = (struct route_param){"rest", "\xc3\xa4 ?#%/:", 8};
    set_query("u=https://h/?a=b%26c%23d%25e%20%22");
    check_expansion("/x/${path.rest}?y", TEMPLATE_URI, 0, "/x/%C3%A4%20%3F%23%25/:?y", 25);
    check_expansion("${query.u}", TEMPLATE_URI, 0, "https://h/?a=b&c#d%e%20%22", 26);
    end();
}
END_TEST

START_TEST(names_that_cannot_be_are_faults)
{
    static const char *const table[][2] = {
        {"${}", "unknown name"},
        {"${foo}", "unknown name"},
        {"${quer.x}", "did you mean"},
        {"${methid}", "did you mean \"method\""},
        {"${path}", "unknown name"},
        {"${path.}", "unknown name"},
        {"${method.x}", "unknown name"},
        {"${path.other}", "/a/{id}/*"},
        {"${param.pp}", "did you mean \"p\""},
        {"${header.a b}", "no header name"},
        {"${header.}", "unknown name"},
        {"a${path.id", "closing brace"},
        {"${path.id ${path.id}", "can have no value"},
    };

    begin_template();
    for (size_t i = 0; i < COUNT_OF(table); i++)
        compile(table[i][0], TEMPLATE_TEXT, table[i][1]);
    end();
}
END_TEST

START_TEST(a_duration_comes_from_its_parameter)
{
    const char *params = "{ name = \"d\"; type = \"duration\"; default = \"2s\"; max = \"3s\"; }";
    struct number_text number = {.text = strdup("${param.d}")}, fixed = {.value = 5};
    const struct option_row row = {.name = "duration", .max = 3 * NS_PER_SEC};
    struct conf_faults found = {0};
    struct conf_check check = {.faults = &found, .locate = locate};

    begin(params);
    check.route = &conf->routes[0];
    params_bind_duration(&number, &row, &check);
    params_bind_duration(&fixed, &row, &check);
    ck_assert_uint_eq(found.count, 0);
    ck_assert_int_eq(params_read(&request, &faults), 0);
    ck_assert_int_eq(params_duration(&request, &number), 2 * NS_PER_SEC);
    ck_assert_int_eq(params_duration(&request, &fixed), 5);
    free(number.text);
    end();
}
END_TEST

/* A row that calls its text a template and does not compile it would let anything pass. */
START_TEST(every_template_option_is_compiled)
{
    size_t seen = 0;

    for (size_t i = 0; registry_at(i); i++) {
        const struct conf_action *action = registry_at(i);

        for (const struct option_row *row = action->options; row && row->name; row++) {
            const char *value = row->type == OPTION_STRINGS ? "( \"/x\", \"${nonsense}\" )"
                                : row->type == OPTION_PAIRS ? "{ A = \"${nonsense}\"; }"
                                                            : "\"/${nonsense}\"";
            struct strbuf text = {0};
            char *told;

            if (!(row->flags & OPTION_TEMPLATE))
                continue;
            seen++;
            strbuf_addf(&text, "routes: ( { path = \"/a\"; action = \"%s\"; %s = %s; } );",
                        action->name, row->name, value);
            told = support_conf_faults(support_write("template.conf", strbuf_cstr(&text)), NULL, 0);
            ck_assert_contains(told, "nonsense}");
            ck_assert_contains(told, row->name);
            free(told);
            strbuf_free(&text);
        }
    }
    ck_assert_uint_ge(seen, 5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        values_are_judged_by_their_type,
        every_place_is_read,
        every_fault_is_told,
        a_form_that_cannot_be_read_is_a_fault,
        values_become_json_of_their_type,
        every_name_is_filled_in,
        constants_are_known_as_such,
        values_that_do_not_fit_are_refused,
        uris_are_escaped,
        names_that_cannot_be_are_faults,
        a_duration_comes_from_its_parameter,
        every_template_option_is_compiled,
    };

    return support_run("params", tests, COUNT_OF(tests));
}
