/* Programs started, signalled and reaped, without a daemon around them. */
#include "child.h"
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const no_environment[] = {NULL};

static int spawn(struct child *child, const char *path, char *const *argv, bool with_stdin,
                 enum child_stderr err)
{
    const struct child_spec spec = {.path = path,
                                    .argv = argv,
                                    .envp = no_environment,
                                    .cwd = "/",
                                    .with_stdin = with_stdin,
                                    .err = err};

    return child_spawn(child, &spec);
}

static int spawn_shell(struct child *child, const char *script, bool with_stdin,
                       enum child_stderr err)
{
    char text[512];
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, text, NULL};

    ck_assert_uint_lt(strlen(script), sizeof text);
    memcpy(text, script, strlen(script) + 1);
    return spawn(child, "/bin/sh", argv, with_stdin, err);
}

/* Everything until the end of a pipe. */
static void read_all(int fd, char out[256])
{
    size_t len = 0;
    ssize_t n = 1;

    while (n != 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        poll(&ready, 1, -1);
        n = read(fd, out + len, 255 - len);
        len += n > 0 ? (size_t)n : 0;
        ck_assert_uint_lt(len, 255);
    }
    out[len] = '\0';
}

static unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    ck_assert_ptr_nonnull(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

START_TEST(a_program_runs_and_is_reaped)
{
    struct child child;
    int64_t cpu_ns = -1;
    char text[256];
    int status;

    ck_assert_int_eq(
        spawn_shell(&child, "echo out; echo err >&2; exit 7", false, CHILD_STDERR_PIPE), 0);
    ck_assert_int_lt(child.in, 0);
    read_all(child.out, text);
    ck_assert_str_eq(text, "out\n");
    read_all(child.err, text);
    ck_assert_str_eq(text, "err\n");
    status = child_reap(&child, &cpu_ns);
    /* It has closed its pipes; between that and its exit it may have been killed. */
    ck_assert((WIFEXITED(status) && WEXITSTATUS(status) == 7) || WIFSIGNALED(status));
    ck_assert_int_ge(cpu_ns, 0);
    ck_assert_int_lt(child.pid, 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(standard_descriptors_go_where_they_should)
{
    struct child child;
    int64_t cpu_ns;
    char text[256];

    ck_assert_int_eq(spawn_shell(&child, "read x; echo $x; echo err >&2", true, CHILD_STDERR_MERGE),
                     0);
    ck_assert_int_lt(child.err, 0);
    ck_assert_int_eq(write(child.in, "in\n", 3), 3);
    child_close(&child.in);
    read_all(child.out, text);
    ck_assert_str_eq(text, "in\nerr\n");
    child_reap(&child, &cpu_ns);
    ck_assert_int_eq(
        spawn_shell(&child, "read x || echo nothing; echo err >&2", false, CHILD_STDERR_NULL), 0);
    read_all(child.out, text);
    ck_assert_str_eq(text, "nothing\n");
    child_reap(&child, &cpu_ns);
}
END_TEST

START_TEST(what_cannot_be_started_leaves_nothing)
{
    static const struct {
        const char *path;
        int error;
    } table[] = {{"/nonexistent", -ENOENT}, {"/etc/passwd", -EACCES}, {"/", -EACCES}};
    char *argv[] = {(char[]){"x"}, NULL};
    unsigned before = open_descriptors();

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct child child;

        ck_assert_int_eq(spawn(&child, table[i].path, argv, true, CHILD_STDERR_PIPE),
                         table[i].error);
        ck_assert(child.in < 0 && child.out < 0 && child.err < 0 && child.pidfd < 0);
    }
    ck_assert_uint_eq(open_descriptors(), before);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(many_runs_leave_nothing)
{
    char *argv[] = {(char[]){"true"}, NULL};
    unsigned before = open_descriptors();

    for (int i = 0; i < 200; i++) {
        struct child child;
        int64_t cpu_ns;

        ck_assert_int_eq(spawn(&child, "/bin/true", argv, i % 2, CHILD_STDERR_PIPE), 0);
        child_reap(&child, &cpu_ns);
    }
    ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(the_whole_group_ends)
{
    struct child child;
    int64_t cpu_ns;
    char text[256];
    int held, status;

    ck_assert_int_eq(spawn_shell(&child,
                                 "trap '' TERM; (sleep 1000; sleep 1000) & echo r; sleep 1000",
                                 false, CHILD_STDERR_NULL),
                     0);
    held = dup(child.out);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = held, .events = POLLIN}, 1, -1), 1);
    ck_assert_int_eq(read(held, text, 2), 2);
    child_signal(&child, SIGTERM);
    status = child_reap(&child, &cpu_ns);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* Ends only when nobody has the other side any more. */
    read_all(held, text);
    ck_assert_str_eq(text, "");
    close(held);
}
END_TEST

START_TEST(low_descriptors_are_not_mistaken_for_the_childs)
{
    struct child child;
    int64_t cpu_ns;
    char text[256];
    int saved[3];

    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        close(fd);
    }
    ck_assert_int_eq(spawn_shell(&child, "read x; echo $x; echo err >&2", true, CHILD_STDERR_PIPE),
                     0);
    ck_assert(child.in > 2 && child.out > 2 && child.err > 2);
    ck_assert_int_eq(write(child.in, "in\n", 3), 3);
    read_all(child.out, text);
    ck_assert_str_eq(text, "in\n");
    read_all(child.err, text);
    ck_assert_str_eq(text, "err\n");
    child_reap(&child, &cpu_ns);
    for (int fd = 0; fd < 3; fd++)
        if (saved[fd] >= 0) {
            dup2(saved[fd], fd);
            close(saved[fd]);
        }
}
END_TEST

/* So many that the numbers of what is opened next are high. */
static void fill_table(void)
{
    for (int i = 0; i < 200; i++)
        ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
}

static void *talk_to_programs(void *arg)
{
    for (int i = 0; i < 10; i++) {
        struct child child;
        int64_t cpu_ns;
        char text[256];

        ck_assert_int_eq(spawn_shell(&child, "read x; echo $x; echo err >&2; exec ls /proc/self/fd",
                                     true, CHILD_STDERR_PIPE),
                         0);
        ck_assert_int_eq(write(child.in, arg, strlen(arg)), (ssize_t)strlen(arg));
        child_close(&child.in);
        read_all(child.err, text);
        ck_assert_str_eq(text, "err\n");
        read_all(child.out, text);
        /* Its standard descriptors, and the directory that it reads. */
        ck_assert_str_eq(strchr(text, '\n'), "\n0\n1\n2\n3\n");
        ck_assert(!strncmp(text, arg, strlen(arg)));
        child_reap(&child, &cpu_ns);
    }
    return NULL;
}

START_TEST(nothing_else_is_inherited_from_a_full_table)
{
    /* More at once than there are low numbers kept. */
    static char names[][8] = {"one\n", "two\n", "three\n", "four\n", "five\n", "six\n"};
    pthread_t threads[COUNT_OF(names)];
    unsigned before;

    fill_table();
    before = open_descriptors();
    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, talk_to_programs, names[i]), 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

static void ignore(int signal)
{
    (void)signal;
}

START_TEST(a_program_has_signals_as_they_come)
{
    struct child child;
    int64_t cpu_ns;
    char text[256];
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGRTMAX, SIG_IGN);
    signal(SIGUSR1, ignore);
    ck_assert_int_eq(spawn_shell(&child, "exec grep -E 'Sig(Blk|Ign)' /proc/self/status", false,
                                 CHILD_STDERR_MERGE),
                     0);
    read_all(child.out, text);
    ck_assert_str_eq(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    child_reap(&child, &cpu_ns);
    /* And here all is as it was. */
    ck_assert(signal(SIGPIPE, SIG_DFL) == SIG_IGN && signal(SIGUSR1, SIG_DFL) == ignore);
    pthread_sigmask(SIG_BLOCK, NULL, &all);
    ck_assert(sigismember(&all, SIGUSR1) && sigismember(&all, SIGTERM));
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error)
{
    char *argv[] = {(char[]){"true"}, NULL};
    const struct child_spec spec = {
        .path = "/bin/true", .argv = argv, .envp = no_environment, .cwd = "/nonexistent"};
    unsigned before = open_descriptors();
    struct child child;

    ck_assert_int_eq(child_spawn(&child, &spec), -ENOENT);
    ck_assert_uint_eq(open_descriptors(), before);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_program_runs_and_is_reaped,
        standard_descriptors_go_where_they_should,
        what_cannot_be_started_leaves_nothing,
        many_runs_leave_nothing,
        the_whole_group_ends,
        low_descriptors_are_not_mistaken_for_the_childs,
        nothing_else_is_inherited_from_a_full_table,
        a_program_has_signals_as_they_come,
        a_directory_that_is_not_there_is_an_error,
    };

    /* So that what it keeps open is there before anything is counted. */
    if (child_setup())
        return 1;
    return support_run("child", tests, COUNT_OF(tests));
}
