#include "support.h"

#include "action.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[256];

/* ---- the suite and its directory ------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static bool make_directory(void)
{
    const char *parent = getenv("TMPDIR");
    int n = snprintf(directory, sizeof directory, "%s/handoffd-unit.XXXXXX",
                     parent && *parent ? parent : "/tmp");

    return n > 0 && (size_t)n < sizeof directory && mkdtemp(directory);
}

int support_run(const char *suite_name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(suite_name);
    TCase *tcase = tcase_create(suite_name);
    SRunner *runner;
    int failed;

    if (!make_directory()) {
        perror(directory);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *support_path(const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];

    ck_assert_int_lt(snprintf(path, sizeof paths[0], "%s/%s", directory, name),
                     (int)sizeof paths[0]);
    return path;
}

static void make_parents(const char *path)
{
    char *copy = strdup(path);

    for (char *p = copy + strlen(directory) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        ck_assert(mkdir(copy, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    free(copy);
}

const char *support_write_bytes(const char *name, const void *bytes, size_t len)
{
    const char *path = support_path(name);
    FILE *file;

    make_parents(path);
    file = fopen(path, "w");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

const char *support_write(const char *name, const char *text)
{
    return support_write_bytes(name, text, strlen(text));
}

/* ---- captured output ------------------------------------------------------------------------- */

static struct {
    int fd, saved, pipe;
} capture;

void support_capture(int fd)
{
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    /* Nobody reads until the end. */
    ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
    fflush(NULL);
    capture.fd = fd;
    capture.saved = dup(fd);
    capture.pipe = ends[0];
    ck_assert_int_ge(capture.saved, 0);
    ck_assert_int_eq(dup2(ends[1], fd), fd);
    close(ends[1]);
}

char *support_captured(void)
{
    struct strbuf text = {0};
    char block[4096];
    ssize_t n;

    fflush(NULL);
    ck_assert_int_eq(dup2(capture.saved, capture.fd), capture.fd);
    close(capture.saved);
    while ((n = read(capture.pipe, block, sizeof block)) > 0)
        strbuf_add(&text, block, (size_t)n);
    close(capture.pipe);
    return strbuf_take(&text);
}

/* ---- time and chance ------------------------------------------------------------------------- */

/* Atomic: threads of a pool read it while a test moves it. */
static _Atomic int64_t stopped_ns;

static int64_t stopped_clock(void)
{
    return stopped_ns;
}

void support_clock_stop(int64_t now_ns)
{
    stopped_ns = now_ns;
    clock_set_source(stopped_clock);
}

void support_clock_set(int64_t now_ns)
{
    stopped_ns = now_ns;
}

struct support_random support_random_new(const char *test)
{
    const char *given = getenv("HANDOFFD_TEST_SEED");
    struct support_random random = {0};

    if (given)
        random.state = strtoull(given, NULL, 0);
    else
        ck_assert_int_eq(getrandom(&random.state, sizeof random.state, 0), sizeof random.state);
    printf("%s: HANDOFFD_TEST_SEED=%llu\n", test, (unsigned long long)random.state);
    fflush(stdout);
    return random;
}

/* splitmix64 */
uint32_t support_random_below(struct support_random *random, uint32_t limit)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 16) % limit;
}

/* ---- mail ------------------------------------------------------------------------------------ */

size_t support_deliver_least(struct mailbox *box, size_t least)
{
    size_t delivered = mailbox_deliver(box);

    while (delivered < least) {
        struct pollfd poll_fd = {.fd = box->fd, .events = POLLIN};
        uint64_t edges;

        ck_assert(poll(&poll_fd, 1, -1) == 1 || errno == EINTR);
        /* Taking the edge before the mail cannot miss one that comes between. */
        if (poll_fd.revents & POLLIN)
            ck_assert_int_eq(read(box->fd, &edges, sizeof edges), sizeof edges);
        delivered += mailbox_deliver(box);
    }
    return delivered;
}

void support_deliver(struct mailbox *box, size_t count)
{
    ck_assert_uint_eq(support_deliver_least(box, count), count);
}

/* ---- configurations -------------------------------------------------------------------------- */

static struct conf *load(const char *path, const char *const *overrides, size_t n,
                         struct strbuf *lines)
{
    const struct conf_source source = {.path = path,
                                       .overrides = overrides,
                                       .n_overrides = n,
                                       .find_action = registry_find,
                                       .action_at = registry_at};
    const size_t skip = strlen(directory) + 1;
    struct conf_faults faults = {0};
    struct conf *conf = conf_load(&source, &faults);

    for (size_t i = 0; i < faults.count; i++) {
        const char *where = faults.items[i].where;
        const char *text = faults.items[i].text;
        const char *found;

        if (!strncmp(where, directory, skip - 1))
            where += skip;
        strbuf_addf(lines, "%s: ", where);
        for (; (found = strstr(text, directory)); text = found + skip)
            strbuf_add(lines, text, (size_t)(found - text));
        strbuf_addf(lines, "%s\n", text);
    }
    ck_assert_msg((conf == NULL) == (faults.count > 0), "%zu faults, configuration %p",
                  faults.count, (void *)conf);
    conf_faults_clear(&faults);
    return conf;
}

struct conf *support_conf_good(const char *path, const char *const *overrides, size_t n)
{
    struct strbuf lines = {0};
    struct conf *conf = load(path, overrides, n, &lines);

    ck_assert_msg(conf != NULL, "faults in %s:\n%s", path, strbuf_cstr(&lines));
    strbuf_free(&lines);
    return conf;
}

char *support_conf_faults(const char *path, const char *const *overrides, size_t n)
{
    struct strbuf lines = {0};
    struct conf *conf = load(path, overrides, n, &lines);

    ck_assert_msg(conf == NULL, "no fault was found in %s (last override: %s)", path,
                  n ? overrides[n - 1] : "none");
    return strbuf_take(&lines);
}

struct conf *support_conf_text(const char *text)
{
    return support_conf_good(support_write("text.conf", text), NULL, 0);
}
