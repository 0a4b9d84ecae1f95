#include "fixed_text.h"
#include "support.h"

#include <check.h>
#include <string.h>

static char buffer[64];

static struct fixed_text of_size(size_t size)
{
    return (struct fixed_text){.at = buffer, .end = buffer + size};
}

static void assert_holds(const struct fixed_text *text, const char *expected)
{
    ck_assert_mem_eq(buffer, expected, strlen(expected));
    ck_assert_ptr_eq(text->at, buffer + strlen(expected));
}

START_TEST(pieces_follow_each_other)
{
    struct fixed_text text = of_size(sizeof buffer);

    PUT_LITERAL(&text, "a");
    put(&text, "bcd", 2);
    put_string(&text, "");
    put_string(&text, "d");
    assert_holds(&text, "abcd");
    ck_assert(!text.is_cut);
}
END_TEST

START_TEST(numbers_of_any_size)
{
    struct fixed_text text = of_size(sizeof buffer);

    put_number(&text, 0);
    PUT_LITERAL(&text, " ");
    put_number(&text, 10);
    PUT_LITERAL(&text, " ");
    put_number(&text, UINT64_MAX);
    assert_holds(&text, "0 10 18446744073709551615");
}
END_TEST

START_TEST(milliseconds_have_three_digits_behind_the_point)
{
    struct fixed_text text = of_size(sizeof buffer);

    put_ms(&text, 0);
    PUT_LITERAL(&text, " ");
    put_ms(&text, -1);
    PUT_LITERAL(&text, " ");
    put_ms(&text, 1002003999);
    assert_holds(&text, "0.000 0.000 1002.003");
}
END_TEST

START_TEST(what_does_not_fit_is_cut_and_told)
{
    struct fixed_text text = of_size(3);

    put_string(&text, "abc");
    ck_assert(!text.is_cut);
    put(&text, "", 0);
    ck_assert(!text.is_cut);
    put_string(&text, "d");
    ck_assert(text.is_cut);
    assert_holds(&text, "abc");
    text = of_size(3);
    put_number(&text, 12345);
    ck_assert(text.is_cut);
    assert_holds(&text, "123");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pieces_follow_each_other,
        numbers_of_any_size,
        milliseconds_have_three_digits_behind_the_point,
        what_does_not_fit_is_cut_and_told,
    };

    return support_run("fixed_text", tests, COUNT_OF(tests));
}
