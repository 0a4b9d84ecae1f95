/* Memory that a thread keeps for itself. */
#include "small_memory.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

START_TEST(what_is_freed_is_taken_again)
{
    void *a = small_alloc(100), *b;

    ck_assert_ptr_nonnull(a);
    small_free(a);
    ck_assert_uint_eq(small_kept(), KEEPS);
    b = small_alloc(100);
    if (KEEPS)
        ck_assert_ptr_eq(a, b);
    ck_assert_uint_eq(small_kept(), 0);
    free(b); /* it is malloc's */
    small_free(NULL);
}
END_TEST

START_TEST(every_size_is_large_enough)
{
    for (size_t size = 0; size < 3000; size++)
        for (int again = 0; again < 2; again++) {
            unsigned char *block = small_alloc(size);

            ck_assert_ptr_nonnull(block);
            ck_assert_uint_eq((uintptr_t)block % 16, 0);
            memset(block, 0xa5, size);
            small_free(block);
        }
}
END_TEST

START_TEST(realloc_keeps_what_is_inside)
{
    char *block = small_realloc(NULL, 8);

    memcpy(block, "1234567", 8);
    for (size_t size = 16; size < 100000; size *= 2) {
        block = small_realloc(block, size);
        ck_assert_str_eq(block, "1234567");
    }
    small_free(block);
}
END_TEST

START_TEST(what_is_kept_is_bounded)
{
    static void *blocks[10000];
    size_t kept;

    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        blocks[i] = small_alloc(64);
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        small_free(blocks[i]);
    kept = small_kept();
    ck_assert_uint_le(kept, 2 * 128); /* malloc may give a class more than was asked for */
    ck_assert(kept >= 128 || !KEEPS);
    small_free(small_alloc(100000));
    ck_assert_uint_eq(small_kept(), kept);
}
END_TEST

static void *free_it(void *block)
{
    small_free(block);
    ck_assert_uint_eq(small_kept(), KEEPS);
    return NULL; /* the leak checker sees whether the thread's end frees it */
}

START_TEST(another_thread_may_free)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, free_it, small_alloc(40)), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(small_kept(), 0);
}
END_TEST

START_TEST(random_sizes_never_overlap)
{
    enum { BLOCKS = 200 };
    struct support_random random = support_random_new("sizes");
    unsigned char *blocks[BLOCKS] = {0};
    size_t sizes[BLOCKS] = {0};

    for (int i = 0; i < 20000; i++) {
        uint32_t k = support_random_below(&random, BLOCKS);
        bool whole = true;

        for (size_t at = 0; at < sizes[k]; at++)
            whole &= blocks[k][at] == k;
        ck_assert(whole);
        small_free(blocks[k]);
        sizes[k] = support_random_below(&random, 1200);
        blocks[k] = small_alloc(sizes[k]);
        memset(blocks[k], (int)k, sizes[k]);
    }
    for (int k = 0; k < BLOCKS; k++)
        small_free(blocks[k]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_freed_is_taken_again, every_size_is_large_enough, realloc_keeps_what_is_inside,
        what_is_kept_is_bounded,      another_thread_may_free,    random_sizes_never_overlap,
    };

    return support_run("small_memory", tests, COUNT_OF(tests));
}
