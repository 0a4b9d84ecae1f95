#include "http_method.h"
#include "support.h"

START_TEST(names_are_found_in_their_order)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

    for (int i = 0; i < METHOD_COUNT; i++) {
        ck_assert_str_eq(http_method_names[i], names[i]);
        ck_assert_int_eq(http_method_find(names[i]), i);
    }
    ck_assert_ptr_null(http_method_names[METHOD_COUNT]);
}
END_TEST

START_TEST(other_names_are_unknown)
{
    static const char *const names[] = {"",      "get",     "Get", "GE",  "GETS",
                                        "TRACE", "CONNECT", "*",   " GET"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_int_eq(http_method_find(names[i]), METHOD_UNKNOWN);
}
END_TEST

START_TEST(head_comes_with_get_and_options_with_everything)
{
    const unsigned get = METHOD_BIT(METHOD_GET), head = METHOD_BIT(METHOD_HEAD);
    const unsigned post = METHOD_BIT(METHOD_POST), options = METHOD_BIT(METHOD_OPTIONS);

    ck_assert_uint_eq(http_method_answered(get), get | head | options);
    ck_assert_uint_eq(http_method_answered(post), post | options);
    ck_assert_uint_eq(http_method_answered(head), head | options);
    ck_assert_uint_eq(http_method_answered(options), options);
    ck_assert_uint_eq(http_method_answered(METHOD_ALL), METHOD_ALL);
}
END_TEST

START_TEST(masks_are_printed_as_a_list)
{
    struct strbuf text = {0};

    http_method_print(0, &text);
    ck_assert_strbuf(&text, "");
    http_method_print(METHOD_BIT(METHOD_PATCH), &text);
    ck_assert_strbuf(&text, "PATCH");
    http_method_print(METHOD_BIT(METHOD_OPTIONS) | METHOD_BIT(METHOD_GET), &text);
    ck_assert_strbuf(&text, "GET, OPTIONS");
    http_method_print(METHOD_ALL, &text);
    ck_assert_strbuf(&text, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        names_are_found_in_their_order,
        other_names_are_unknown,
        head_comes_with_get_and_options_with_everything,
        masks_are_printed_as_a_list,
    };

    return support_run("http_method", tests, COUNT_OF(tests));
}
