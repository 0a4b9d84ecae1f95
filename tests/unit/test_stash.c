#include "stash.h"
#include "support.h"

#include <string.h>

static void expect(const struct stash *stash, const char *text)
{
    ck_assert_uint_eq(stash->len, strlen(text));
    ck_assert_mem_eq(stash_bytes(stash), text, stash->len);
}

START_TEST(first_in_first_out)
{
    struct stash stash = {0};

    expect(&stash, "");
    ck_assert_int_eq(stash_add(&stash, "abc", 3), 0);
    stash_take(&stash, 1);
    expect(&stash, "bc");
    ck_assert_int_eq(stash_add(&stash, "de", 2), 0);
    expect(&stash, "bcde");
    stash_take(&stash, 3);
    ck_assert_int_eq(stash_add(&stash, "", 0), 0);
    expect(&stash, "e");
    stash_clear(&stash);
    expect(&stash, "");
}
END_TEST

START_TEST(the_memory_goes_with_the_last_byte)
{
    struct stash stash = {0};

    ck_assert_int_eq(stash_add(&stash, "abc", 3), 0);
    stash_take(&stash, 3);
    ck_assert_ptr_null(stash.block);
    ck_assert_uint_eq(stash.size, 0);
}
END_TEST

/* What has been taken makes room: as long as no more is kept, no more memory is. */
START_TEST(it_does_not_grow_without_need)
{
    struct stash stash = {0};

    ck_assert_int_eq(stash_add(&stash, "0123456789", 10), 0);
    for (int i = 0; i < 1000; i++) {
        stash_take(&stash, 7);
        ck_assert_int_eq(stash_add(&stash, "abcdefg", 7), 0);
    }
    ck_assert_uint_eq(stash.size, 10);
    expect(&stash, "efgabcdefg");
    stash_clear(&stash);
}
END_TEST

START_TEST(bytes_are_moved_with_their_memory)
{
    struct stash stash = {0}, moved;

    ck_assert_int_eq(stash_add(&stash, "abc", 3), 0);
    stash_take(&stash, 1);
    moved = stash_move(&stash);
    expect(&stash, "");
    expect(&moved, "bc");
    ck_assert_int_eq(stash_add(&stash, "x", 1), 0);
    expect(&moved, "bc");
    stash_clear(&stash);
    stash_clear(&moved);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        first_in_first_out,
        the_memory_goes_with_the_last_byte,
        it_does_not_grow_without_need,
        bytes_are_moved_with_their_memory,
    };

    return support_run("stash", tests, COUNT_OF(tests));
}
