#include "request.h"
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(an_owner_hands_over)
{
    struct request request = {.owner = REQUEST_OF_LOOP};

    request_hand_over(&request, REQUEST_OF_LOOP, REQUEST_OF_POOL);
    ck_assert_int_eq(request.owner, REQUEST_OF_POOL);
    request_hand_over(&request, REQUEST_OF_POOL, REQUEST_OF_LOOP);
    ck_assert_int_eq(request.owner, REQUEST_OF_LOOP);
}
END_TEST

/* Whether `act` aborts; its message goes nowhere. */
static bool aborts(void (*act)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#ifndef NDEBUG
static void hand_over_as_stranger(void)
{
    struct request request = {.owner = REQUEST_OF_LOOP};

    request_hand_over(&request, REQUEST_OF_POOL, REQUEST_OF_LOOP);
}

static void add_nine_headers(void)
{
    struct request request = {0};

    for (int i = 0; i < RESPONSE_MAX_HEADERS + 1; i++)
        response_add_header(&request, "X", "y");
}

START_TEST(debug_builds_abort_on_programming_errors)
{
    ck_assert(aborts(hand_over_as_stranger));
    ck_assert(aborts(add_nine_headers));
}
END_TEST
#endif

START_TEST(static_and_owned_bodies_replace_each_other)
{
    static const char text[] = "literal";
    struct request request = {0};
    char *owned = strdup("owned");

    response_static(&request, 200, "text/plain", text, strlen(text));
    ck_assert_int_eq(request.response.status, 200);
    ck_assert_str_eq(request.response.content_type, "text/plain");
    ck_assert_ptr_eq(request.response.body, text);
    ck_assert_uint_eq(request.response.body_len, 7);
    ck_assert_ptr_null(request.response.owned_body);
    ck_assert_int_eq(response_own(&request, 500, "text/html", owned, 5), 0);
    ck_assert_int_eq(request.response.status, 500);
    ck_assert_str_eq(request.response.content_type, "text/html");
    ck_assert_ptr_eq(request.response.body, owned);
    ck_assert_ptr_eq(request.response.owned_body, owned);
    ck_assert_uint_eq(request.response.body_len, 5);
    /* The one before is free()d: the leak checker would tell. */
    ck_assert_int_eq(response_own(&request, 501, NULL, strdup("next"), 4), 0);
    ck_assert_str_eq(request.response.body, "next");
    response_static(&request, 204, NULL, "", 0);
    ck_assert_ptr_null(request.response.owned_body);
    ck_assert_int_eq(request.response.status, 204);
}
END_TEST

START_TEST(no_body_is_out_of_memory_and_changes_nothing)
{
    struct request request = {0};

    response_static(&request, 200, "text/plain", "x", 1);
    ck_assert_int_eq(response_own(&request, 500, NULL, NULL, 0), -ENOMEM);
    ck_assert_int_eq(request.response.status, 200);
    ck_assert_str_eq(request.response.body, "x");
}
END_TEST

START_TEST(headers_are_kept_in_order)
{
    struct request request = {0};

    for (int i = 0; i < RESPONSE_MAX_HEADERS; i++)
        response_add_header(&request, i % 2 ? "Odd" : "Even", i < 2 ? "first" : "later");
    ck_assert_uint_eq(request.response.n_headers, RESPONSE_MAX_HEADERS);
    ck_assert_str_eq(request.response.headers[0].name, "Even");
    ck_assert_str_eq(request.response.headers[1].name, "Odd");
    ck_assert_str_eq(request.response.headers[1].value, "first");
    ck_assert_str_eq(request.response.headers[7].value, "later");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_owner_hands_over,
#ifndef NDEBUG
        debug_builds_abort_on_programming_errors,
#endif
        static_and_owned_bodies_replace_each_other,
        no_body_is_out_of_memory_and_changes_nothing,
        headers_are_kept_in_order,
    };

    return support_run("request", tests, COUNT_OF(tests));
}
