#include "process_stats.h"
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void *wait_for_end(void *arg)
{
    pthread_mutex_lock(arg);
    pthread_mutex_unlock(arg);
    return NULL;
}

START_TEST(the_numbers_are_those_of_the_process)
{
    struct process_stats before, after;
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    struct rlimit limit = {.rlim_cur = 123, .rlim_max = 123};
    struct timespec now;
    pthread_t first, thread;
    int fd;

    pthread_mutex_lock(&held);
    /* With the first thread a sanitizer makes one of its own. */
    ck_assert_int_eq(pthread_create(&first, NULL, wait_for_end, &held), 0);
    ck_assert_int_eq(process_stats_read(&before), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_end, &held), 0);
    fd = open("/dev/null", O_RDONLY);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(process_stats_read(&after), 0);
    ck_assert_uint_eq(after.threads, before.threads + 1);
    ck_assert_uint_eq(after.open_fds, before.open_fds + 1);
    ck_assert_uint_eq(after.max_fds, 123);
    ck_assert_double_ge(after.cpu_seconds, before.cpu_seconds);
    ck_assert_uint_gt(after.resident_bytes, 0);
    ck_assert_uint_ge(after.virtual_bytes, after.resident_bytes);
    /* Not time(2), which lags behind by up to a tick of the kernel's. */
    clock_gettime(CLOCK_REALTIME, &now);
    ck_assert_msg(after.start_time <= (double)now.tv_sec + 1, "started at %.6f, it is %lld.%09ld",
                  after.start_time, (long long)now.tv_sec, now.tv_nsec);
    ck_assert_double_ge(after.start_time, (double)now.tv_sec - 3600);
    close(fd);
    pthread_mutex_unlock(&held);
    pthread_join(first, NULL);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_strange_name_confuses_nothing)
{
    struct process_stats before, after;

    ck_assert_int_eq(process_stats_read(&before), 0);
    ck_assert_int_eq(prctl(PR_SET_NAME, ") R 1 2 ("), 0);
    ck_assert_int_eq(process_stats_read(&after), 0);
    ck_assert_uint_eq(after.threads, before.threads);
    ck_assert_double_eq_tol(after.start_time, before.start_time, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_numbers_are_those_of_the_process,
        a_strange_name_confuses_nothing,
    };

    return support_run("process_stats", tests, COUNT_OF(tests));
}
