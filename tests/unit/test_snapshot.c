#include "snapshot.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct vitals vitals;

static struct snapshot *new_snapshot(void)
{
    struct conf *conf = support_conf_text("pools: { one: { threads = 1; }; two: { }; };\n"
                                          "listeners: { a: { address = \"127.0.0.1:0\"; }; };");
    struct snapshot *snapshot;

    vitals_init(&vitals);
    snapshot = snapshot_new(conf, &vitals);
    ck_assert_ptr_nonnull(snapshot);
    ck_assert_ptr_eq(snapshot->conf, conf);
    ck_assert_ptr_eq(snapshot->vitals, &vitals);
    ck_assert_int_gt(snapshot->loaded_at, 0);
    return snapshot;
}

/* What is left over the leak checker tells, what goes too early the address sanitizer. */
START_TEST(the_last_reference_frees_what_the_snapshot_owns)
{
    struct snapshot *snapshot = new_snapshot();
    struct pool *pool = pool_new("kept", NULL, NULL);

    for (size_t i = 0; i < snapshot->conf->n_pools; i++)
        ck_assert_ptr_null(snapshot->pools[i]);
    snapshot->pools[0] = pool_ref(pool);
    snapshot->pools[1] = pool_new("its own", NULL, NULL);
    snapshot->bound[0] = strdup("127.0.0.1:8080");
    ck_assert_ptr_eq(snapshot_ref(snapshot), snapshot);
    snapshot_unref(snapshot);
    ck_assert_str_eq(snapshot->bound[0], "127.0.0.1:8080");
    ck_assert_str_eq(pool_name(snapshot->pools[1]), "its own");
    snapshot_unref(snapshot);
    ck_assert_str_eq(pool_name(pool), "kept");
    pool_unref(pool);
    snapshot_unref(NULL);
    vitals_destroy(&vitals);
}
END_TEST

enum { HOLDERS = 4, HOLDS = 5000 };

static void *hold_often(void *arg)
{
    struct snapshot *snapshot = arg;

    for (int i = 0; i < HOLDS; i++) {
        snapshot_ref(snapshot);
        ck_assert_uint_eq(snapshot->conf->n_listeners, 1);
        snapshot_unref(snapshot);
    }
    snapshot_unref(snapshot);
    return NULL;
}

START_TEST(threads_hold_and_let_go)
{
    struct snapshot *snapshot = new_snapshot();
    pthread_t threads[HOLDERS];

    for (int i = 0; i < HOLDERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_often, snapshot_ref(snapshot)), 0);
    snapshot_unref(snapshot);
    for (int i = 0; i < HOLDERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    vitals_destroy(&vitals);
}
END_TEST

/* A loop's uses, each on its own thread, beside references of others. */
static void *use_often(void *arg)
{
    static _Atomic unsigned next_loop;
    unsigned loop = atomic_fetch_add(&next_loop, 1);
    struct snapshot *snapshot = arg;

    snapshot_use(snapshot, loop);
    snapshot_unref(snapshot);
    for (int i = 0; i < HOLDS; i++) {
        ck_assert_ptr_eq(snapshot_use(snapshot, loop), snapshot);
        ck_assert_uint_eq(snapshot->conf->n_listeners, 1);
        snapshot_done(snapshot, loop);
    }
    snapshot_done(snapshot, loop);
    return NULL;
}

START_TEST(all_uses_of_a_loop_are_one_reference)
{
    struct snapshot *snapshot = new_snapshot();
    pthread_t threads[HOLDERS];

    snapshot_use(snapshot, 3);
    snapshot_use(snapshot, 3);
    snapshot_use(snapshot, 63);
    ck_assert_uint_eq(atomic_load(&snapshot->refs), 3);
    snapshot_done(snapshot, 3);
    ck_assert_uint_eq(atomic_load(&snapshot->refs), 3);
    snapshot_done(snapshot, 3);
    snapshot_done(snapshot, 63);
    ck_assert_uint_eq(atomic_load(&snapshot->refs), 1);
    snapshot_done(NULL, 0);
    for (size_t i = 0; i < HOLDERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_often, snapshot_ref(snapshot)), 0);
    snapshot_unref(snapshot);
    for (size_t i = 0; i < HOLDERS; i++)
        pthread_join(threads[i], NULL);
    vitals_destroy(&vitals);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_last_reference_frees_what_the_snapshot_owns,
        threads_hold_and_let_go,
        all_uses_of_a_loop_are_one_reference,
    };

    return support_run("snapshot", tests, COUNT_OF(tests));
}
