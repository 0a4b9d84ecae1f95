#include "json_text.h"
#include "problem.h"
#include "conf.h"
#include "support.h"

#include <string.h>

static json_t *answer(struct request *request)
{
    json_t *document = json_loadb(request->response.body, request->response.body_len, 0, NULL);

    ck_assert_str_eq(request->response.content_type, "application/problem+json");
    ck_assert_ptr_nonnull(document);
    response_static(request, 0, NULL, "", 0);
    return document;
}

static const char *member(const json_t *document, const char *name)
{
    const char *text = json_string_value(json_object_get(document, name));

    return text ? text : "(none)";
}

START_TEST(a_problem_without_a_route)
{
    struct request request = {0};
    json_t *document;

    problem_respond(&request, 404, "no_route", "nothing at %s", "/x\xff");
    ck_assert_int_eq(request.response.status, 404);
    document = answer(&request);
    ck_assert_str_eq(member(document, "type"), "about:blank");
    ck_assert_str_eq(member(document, "title"), "Not Found");
    ck_assert_int_eq(json_integer_value(json_object_get(document, "status")), 404);
    ck_assert_str_eq(member(document, "detail"), "nothing at /x\xef\xbf\xbd");
    ck_assert_str_eq(member(document, "reason"), "no_route");
    ck_assert_uint_eq(json_object_size(document), 5);
    json_decref(document);
}
END_TEST

START_TEST(a_reason_may_be_missing)
{
    struct request request = {0};
    json_t *document;

    problem_respond(&request, 400, NULL, "bad");
    document = answer(&request);
    ck_assert_ptr_null(json_object_get(document, "reason"));
    ck_assert_str_eq(member(document, "title"), "Bad Request");
    json_decref(document);
}
END_TEST

START_TEST(route_and_pool_are_named)
{
    struct conf *conf = support_conf_text(
        "pools: { slow: { }; };\nroutes: ( { path = \"/j/{id}\"; action = \"sleep\"; duration = 1;"
        " pool = \"slow\"; }, { path = \"/l\"; action = \"live\"; } );");
    struct request request = {.route = &conf->routes[0]};
    json_t *document;

    problem_respond(&request, 503, "queue_full", "full");
    document = answer(&request);
    ck_assert_str_eq(member(document, "title"), "Service Unavailable");
    ck_assert_str_eq(member(document, "pool"), "slow");
    ck_assert_str_eq(member(document, "route"), "/j/{id}");
    json_decref(document);
    request.route = &conf->routes[1];
    problem_respond(&request, 503, "draining", "stop");
    document = answer(&request);
    ck_assert_ptr_null(json_object_get(document, "pool"));
    ck_assert_str_eq(member(document, "route"), "/l");
    json_decref(document);
    conf_free(conf);
}
END_TEST

START_TEST(titles)
{
    ck_assert_str_eq(problem_title(200), "OK");
    ck_assert_str_eq(problem_title(302), "Found");
    ck_assert_str_eq(problem_title(405), "Method Not Allowed");
    ck_assert_str_eq(problem_title(413), "Content Too Large");
    ck_assert_str_eq(problem_title(431), "Request Header Fields Too Large");
    ck_assert_str_eq(problem_title(500), "Internal Server Error");
    ck_assert_str_eq(problem_title(504), "Gateway Timeout");
    for (int status = -1; status < 1000; status++)
        ck_assert_uint_gt(strlen(problem_title(status)), 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_problem_without_a_route,
        a_reason_may_be_missing,
        route_and_pool_are_named,
        titles,
    };

    return support_run("problem", tests, COUNT_OF(tests));
}
