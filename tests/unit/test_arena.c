#include "arena.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

START_TEST(the_callers_memory_is_used_first)
{
    _Alignas(16) char memory[256];
    struct arena arena;
    char *a, *b, *outside;

    arena_init(&arena, memory, sizeof memory);
    a = arena_alloc(&arena, 16);
    b = arena_alloc(&arena, 240);
    ck_assert_ptr_eq(a, memory);
    ck_assert_ptr_eq(b, memory + 16);
    ck_assert_ptr_null(arena.blocks);
    outside = arena_alloc(&arena, 1);
    ck_assert(outside < memory || outside >= memory + sizeof memory);
    ck_assert_ptr_nonnull(arena.blocks);
    arena_clear(&arena);
}
END_TEST

START_TEST(everything_is_aligned)
{
    _Alignas(16) char memory[64];

    for (size_t offset = 0; offset < 16; offset++)
        for (size_t size = 0; size < 100; size++) {
            struct arena arena;

            arena_init(&arena, memory + offset, sizeof memory - offset);
            for (int i = 0; i < 4; i++)
                ck_assert_uint_eq((uintptr_t)arena_alloc(&arena, size) % 16, 0);
            arena_clear(&arena);
        }
}
END_TEST

START_TEST(no_memory_to_begin_with_is_fine)
{
    struct arena arena;
    char *text;

    arena_init(&arena, NULL, 0);
    text = arena_strndup(&arena, "hello", 5);
    ck_assert_str_eq(text, "hello");
    arena_clear(&arena);
    ck_assert_str_eq(arena_strndup(&arena, "again", 5), "again");
    arena_clear(&arena);
    arena_clear(&arena);
}
END_TEST

START_TEST(a_big_piece_leaves_the_current_block_in_use)
{
    _Alignas(16) char memory[1024];
    struct arena arena;
    char *small, *big, *after;

    arena_init(&arena, memory, sizeof memory);
    small = arena_alloc(&arena, 8);
    big = arena_alloc(&arena, 1 << 20);
    after = arena_alloc(&arena, 8);
    ck_assert_ptr_eq(after, small + 16);
    memset(big, 'b', 1 << 20);
    memset(small, 's', 8);
    memset(after, 'a', 8);
    ck_assert(big[0] == 'b' && big[(1 << 20) - 1] == 'b');
    arena_clear(&arena);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    struct arena arena;

    arena_init(&arena, NULL, 0);
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 4096));
    ck_assert_ptr_null(arena_strndup(&arena, "", SIZE_MAX));
    arena_clear(&arena);
}
END_TEST

START_TEST(copies_end_with_nul)
{
    _Alignas(16) char memory[32];
    struct arena arena;
    char *copy;

    memset(memory, 'x', sizeof memory);
    arena_init(&arena, memory, sizeof memory);
    ck_assert_str_eq(arena_strndup(&arena, "abcdef", 3), "abc");
    ck_assert_str_eq(arena_strndup(&arena, NULL, 0), "");
    copy = arena_strndup(&arena, "a\0b", 3);
    ck_assert_mem_eq(copy, "a\0b", 4);
    arena_clear(&arena);
}
END_TEST

enum { PIECES = 2000 };

START_TEST(many_pieces_do_not_overlap)
{
    struct support_random random = support_random_new("arena");
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    _Alignas(16) char memory[512];
    struct arena arena;

    arena_init(&arena, memory, sizeof memory);
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = support_random_below(&random, support_random_below(&random, 20) ? 200 : 9000);
        pieces[i] = arena_alloc(&arena, sizes[i]);
        ck_assert_ptr_nonnull(pieces[i]);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_msg(pieces[i][k] == i % 251, "piece %zu was overwritten", i);
    arena_clear(&arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_callers_memory_is_used_first, everything_is_aligned,
        no_memory_to_begin_with_is_fine,  a_big_piece_leaves_the_current_block_in_use,
        impossible_sizes_are_refused,     copies_end_with_nul,
        many_pieces_do_not_overlap,
    };

    return support_run("arena", tests, COUNT_OF(tests));
}
