#include "store.h"
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir = -1;

static void open_directory(void)
{
    support_write("stored/there", "old");
    dir = open(support_path("stored"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir, 0);
}

static unsigned count_entries(void)
{
    DIR *stream = opendir(support_path("stored"));
    const struct dirent *entry;
    unsigned n = 0;

    while ((entry = readdir(stream)))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return n;
}

static void check_content(const char *name, const char *expected)
{
    char text[64] = "";
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, sizeof text - 1), 0);
    ck_assert_str_eq(text, expected);
    close(fd);
}

/* Both ways: a file without a name, and one with a hidden name. */
static void begin(struct store *store, bool named)
{
    ck_assert_int_eq(store_begin(store, dir, 0604), 0);
    if (named && !store->has_name) {
        snprintf(store->name, sizeof store->name, ".handoffd-test.part");
        close(store->fd);
        store->fd = openat(dir, store->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0604);
        ck_assert_int_ge(store->fd, 0);
        ck_assert_int_eq(fchmod(store->fd, 0604), 0);
        store->has_name = true;
    }
}

START_TEST(a_file_appears_whole)
{
    static const enum store_sync syncs[] = {STORE_SYNC_FULL, STORE_SYNC_FILE, STORE_SYNC_NONE};
    struct store store;
    struct stat st;
    bool replaced;

    umask(077);
    open_directory();
    for (unsigned i = 0; i < 6; i++) {
        begin(&store, i & 1);
        ck_assert_int_eq(store_write(&store, "one", 3), 0);
        ck_assert_int_eq(store_write(&store, "two", 3), 0);
        ck_assert_int_eq(faccessat(dir, "new", F_OK, 0), -1);
        ck_assert_int_eq(store_commit(&store, "new", false, syncs[i / 2], &replaced), 0);
        ck_assert(!replaced);
        check_content("new", "onetwo");
        ck_assert_int_eq(fstatat(dir, "new", &st, 0), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0604);
        ck_assert_uint_eq(count_entries(), 2);
        ck_assert_int_eq(unlinkat(dir, "new", 0), 0);
    }
    close(dir);
}
END_TEST

START_TEST(what_exists_is_kept_or_replaced)
{
    struct store store;
    bool replaced;

    open_directory();
    for (unsigned named = 0; named < 2; named++) {
        begin(&store, named);
        ck_assert_int_eq(store_write(&store, "new", 3), 0);
        ck_assert_int_eq(store_commit(&store, "there", false, STORE_SYNC_NONE, &replaced), -EEXIST);
        check_content("there", "old");
        begin(&store, named);
        ck_assert_int_eq(store_write(&store, "new", 3), 0);
        ck_assert_int_eq(store_commit(&store, "there", true, STORE_SYNC_NONE, &replaced), 0);
        ck_assert(replaced);
        check_content("there", "new");
        ck_assert_uint_eq(count_entries(), 1);
        support_write("stored/there", "old");
    }
    close(dir);
}
END_TEST

START_TEST(nothing_is_left_of_what_fails)
{
    struct store store;
    bool replaced;

    open_directory();
    for (unsigned named = 0; named < 2; named++) {
        begin(&store, named);
        ck_assert_int_eq(store_write(&store, "new", 3), 0);
        store_abort(&store);
        ck_assert_uint_eq(count_entries(), 1);
        store_abort(&store); /* again is harmless */
        begin(&store, named);
        ck_assert_int_eq(store_commit(&store, "no/such", true, STORE_SYNC_NONE, &replaced),
                         -ENOENT);
        ck_assert_uint_eq(count_entries(), 1);
    }
    close(dir);
}
END_TEST

START_TEST(a_limit_is_an_error_and_no_signal)
{
    const struct rlimit limit = {1000, 1000};
    char block[600] = "";
    struct store store;

    open_directory();
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    begin(&store, false);
    ck_assert_int_eq(store_write(&store, block, sizeof block), 0);
    ck_assert_int_eq(store_write(&store, block, sizeof block), -EFBIG);
    store_abort(&store);
    ck_assert_uint_eq(count_entries(), 1);
    close(dir);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_file_appears_whole,
        what_exists_is_kept_or_replaced,
        nothing_is_left_of_what_fails,
        a_limit_is_an_error_and_no_signal,
    };

    return support_run("store", tests, COUNT_OF(tests));
}
