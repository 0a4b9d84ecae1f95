#include "clock.h"
#include "journal.h"
#include "log.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes the time stamps off the captured lines, after a look at their form. */
static char *without_stamps(char *captured)
{
    static const char form[] = "0000-00-00T00:00:00.000Z ";
    struct strbuf out = {0};

    for (char *line = captured; *line;) {
        char *end = strchr(line, '\n');

        ck_assert_msg(end != NULL, "a line does not end: %.200s", line);
        for (size_t i = 0; form[i]; i++)
            ck_assert_msg(form[i] == '0' ? line[i] >= '0' && line[i] <= '9' : line[i] == form[i],
                          "bad time stamp: %.200s", line);
        strbuf_add(&out, line + sizeof form - 1, (size_t)(end + 1 - line) - (sizeof form - 1));
        line = end + 1;
    }
    free(captured);
    return strbuf_take(&out);
}

static char *captured_lines(void)
{
    return without_stamps(support_captured());
}

START_TEST(info_is_the_default_level)
{
    char *text;

    ck_assert_int_eq(log_get_level(), LOG_LEVEL_INFO);
    support_capture(STDERR_FILENO);
    log_error("e %d", 1);
    log_warning("w %s", "two");
    log_notice("n");
    log_info("i");
    log_debug("d");
    text = captured_lines();
    ck_assert_str_eq(text, "error: e 1\nwarning: w two\nnotice: n\ninfo: i\n");
    free(text);
}
END_TEST

START_TEST(a_level_holds_back_what_is_less_important)
{
    static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE,
                                            LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};
    static const char *const all[] = {"error: x\n", "warning: x\n", "notice: x\n", "info: x\n",
                                      "debug: x\n"};

    for (size_t set = 0; set < COUNT_OF(levels); set++) {
        struct strbuf expected = {0};
        char *text;

        for (size_t i = 0; i <= set; i++)
            strbuf_adds(&expected, all[i]);
        log_set_level(levels[set]);
        ck_assert_int_eq(log_get_level(), levels[set]);
        support_capture(STDERR_FILENO);
        for (size_t i = 0; i < COUNT_OF(levels); i++)
            log_write(levels[i], "x");
        text = captured_lines();
        ck_assert_str_eq(text, strbuf_cstr(&expected));
        free(text);
        strbuf_free(&expected);
    }
}
END_TEST

START_TEST(control_characters_cannot_forge_a_line)
{
    char *text;

    support_capture(STDERR_FILENO);
    log_error("a\nb\rc\td\x1b[0m\x7f %s", "\xc3\xa4\n");
    log_whole(LOG_LEVEL_ERROR, "x\ny\x01");
    text = captured_lines();
    ck_assert_str_eq(text, "error: a?b?c?d?[0m? \xc3\xa4?\nerror: x?y?\n");
    free(text);
}
END_TEST

START_TEST(a_long_message_is_cut_to_one_line)
{
    char *longer = malloc(10001), *text;

    memset(longer, 'x', 10000);
    longer[10000] = '\0';
    support_capture(STDERR_FILENO);
    log_error("%s", longer);
    log_error("next");
    text = support_captured();
    ck_assert_uint_le((size_t)(strchr(text, '\n') - text), 4096);
    ck_assert_uint_ge((size_t)(strchr(text, '\n') - text), 4000);
    text = without_stamps(text);
    ck_assert_uint_eq(strspn(text + strlen("error: "), "x"),
                      (size_t)(strchr(text, '\n') - text) - strlen("error: "));
    ck_assert_str_eq(strchr(text, '\n') + 1, "error: next\n");
    free(text);
    free(longer);
}
END_TEST

START_TEST(a_whole_line_is_not_cut)
{
    char *longer = malloc(100001), *text;

    memset(longer, 'y', 100000);
    longer[100000] = '\0';
    support_capture(STDERR_FILENO);
    log_whole(LOG_LEVEL_NOTICE, longer);
    log_whole(LOG_LEVEL_DEBUG, "held back");
    text = captured_lines();
    ck_assert_uint_eq(strlen(text), strlen("notice: \n") + 100000);
    ck_assert_uint_eq(strspn(text + strlen("notice: "), "y"), 100000);
    free(text);
    free(longer);
}
END_TEST

START_TEST(errno_survives)
{
    char *text;

    support_capture(STDERR_FILENO);
    errno = ENOTTY;
    log_error("%d", 1);
    ck_assert_int_eq(errno, ENOTTY);
    text = captured_lines();
    ck_assert_str_eq(text, "error: 1\n");
    free(text);
}
END_TEST

/* Standard error becomes the journal's stream, and the journal is `send`. */
static void begin_journal(int (*send)(const struct iovec *fields, int n))
{
    struct stat st;
    char stream[64];

    journal_replace(send);
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_init();
}

static struct strbuf sent;

/* Each field a line, each message a paragraph. */
static int take_message(const struct iovec *fields, int n)
{
    for (int i = 0; i < n; i++) {
        strbuf_add(&sent, fields[i].iov_base, fields[i].iov_len);
        strbuf_addc(&sent, '\n');
    }
    strbuf_addc(&sent, '\n');
    return 0;
}

START_TEST(the_journal_gets_fields)
{
    const struct log_subject subject = {.request_id = "id-1", .route = "/a/{b}", .pool = "slow"};
    struct log_limit limit = {.interval_ns = NS_PER_SEC};
    struct strbuf expected = {0};
    char *text;
    int line;

    support_capture(STDERR_FILENO);
    begin_journal(take_message);
    ck_assert(log_is_journal());
    line = __LINE__ + 1;
    log_about(&subject, LOG_LEVEL_ERROR, "one\n%d", 1);
    log_limited_about(&limit, &(const struct log_subject){.listener = "main"}, LOG_LEVEL_INFO, "2");
    log_whole(LOG_LEVEL_NOTICE, "{}");
    log_debug("held back");
    text = support_captured();
    ck_assert_str_eq(text, "");
    strbuf_addf(
        &expected,
        "MESSAGE=one?1\nPRIORITY=3\nSYSLOG_IDENTIFIER=handoffd\nCODE_FILE=%s\nCODE_LINE=%d\n"
        "CODE_FUNC=%s\nREQUEST_ID=id-1\nHANDOFFD_ROUTE=/a/{b}\nHANDOFFD_POOL=slow\n\n",
        __FILE__, line, __func__);
    strbuf_addf(&expected,
                "MESSAGE=2\nPRIORITY=6\nSYSLOG_IDENTIFIER=handoffd\nCODE_FILE=%s\nCODE_LINE=%d\n"
                "CODE_FUNC=%s\nHANDOFFD_LISTENER=main\n\n",
                __FILE__, line + 1, __func__);
    strbuf_adds(&expected, "MESSAGE={}\nPRIORITY=5\nSYSLOG_IDENTIFIER=handoffd\n\n");
    ck_assert_str_eq(strbuf_cstr(&sent), strbuf_cstr(&expected));
    strbuf_free(&expected);
    strbuf_free(&sent);
    free(text);
}
END_TEST

START_TEST(a_long_field_is_cut)
{
    struct strbuf longer = {0};
    struct log_subject subject;

    for (int i = 0; i < 1024; i++)
        strbuf_addc(&longer, 'x');
    subject = (struct log_subject){strbuf_cstr(&longer), strbuf_cstr(&longer), strbuf_cstr(&longer),
                                   strbuf_cstr(&longer)};
    begin_journal(take_message);
    log_about(&subject, LOG_LEVEL_ERROR, "m");
    ck_assert_contains(strbuf_cstr(&sent), "MESSAGE=m\n");
    ck_assert_contains(strbuf_cstr(&sent), "\nREQUEST_ID=xxx");
    ck_assert_uint_lt(sent.len, 4096);
    strbuf_free(&longer);
    strbuf_free(&sent);
}
END_TEST

START_TEST(the_last_words_go_to_its_stream)
{
    char *text;

    support_capture(STDERR_FILENO);
    begin_journal(take_message);
    log_error("before");
    log_prepare_exit();
    log_error("after");
    ck_assert(log_is_journal());
    text = support_captured();
    ck_assert_str_eq(text, "<3>after\n");
    ck_assert_contains(strbuf_cstr(&sent), "MESSAGE=before\n");
    strbuf_free(&sent);
    free(text);
}
END_TEST

START_TEST(a_log_that_is_no_journal_stays_what_it_is)
{
    char *text;

    support_capture(STDERR_FILENO);
    log_prepare_exit();
    log_error("e");
    text = captured_lines();
    ck_assert_str_eq(text, "error: e\n");
    free(text);
}
END_TEST

static int refuse_message(const struct iovec *fields, int n)
{
    (void)fields;
    (void)n;
    return -ENOENT;
}

START_TEST(without_the_journal_its_stream_gets_a_priority_instead_of_a_stamp)
{
    struct stat st;
    char stream[64], *text;

    support_capture(STDERR_FILENO);
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    begin_journal(refuse_message);
    log_warning("to the journal");
    log_whole(LOG_LEVEL_ERROR, "whole");
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino + 1);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_init();
    log_warning("elsewhere");
    text = support_captured();
    ck_assert_msg(!strncmp(text, "<4>to the journal\n<3>whole\n2", 28), "%s", text);
    ck_assert_contains(text, "Z warning: elsewhere\n");
    free(text);
}
END_TEST

START_TEST(a_limit_holds_lines_back_and_tells_how_many)
{
    struct log_limit limit = {.interval_ns = 5 * NS_PER_SEC};
    char *text;

    support_clock_stop(100 * NS_PER_SEC);
    support_capture(STDERR_FILENO);
    for (int i = 0; i < 4; i++)
        log_limited(&limit, LOG_LEVEL_WARNING, "flood %d", i);
    support_clock_set(105 * NS_PER_SEC - 1);
    log_limited(&limit, LOG_LEVEL_WARNING, "still held");
    support_clock_set(105 * NS_PER_SEC);
    log_limited(&limit, LOG_LEVEL_WARNING, "again");
    support_clock_set(120 * NS_PER_SEC);
    log_limited(&limit, LOG_LEVEL_WARNING, "none held");
    text = captured_lines();
    ck_assert_str_eq(text, "warning: flood 0\nwarning: again (4 alike suppressed before)\n"
                           "warning: none held\n");
    free(text);
}
END_TEST

START_TEST(a_limit_does_not_count_what_the_level_holds_back)
{
    struct log_limit limit = {.interval_ns = NS_PER_SEC};
    char *text;

    support_clock_stop(NS_PER_SEC);
    support_capture(STDERR_FILENO);
    log_limited(&limit, LOG_LEVEL_DEBUG, "silent");
    log_limited(&limit, LOG_LEVEL_DEBUG, "silent");
    log_limited(&limit, LOG_LEVEL_ERROR, "first");
    support_clock_set(10 * NS_PER_SEC);
    log_limited(&limit, LOG_LEVEL_ERROR, "second");
    text = captured_lines();
    ck_assert_str_eq(text, "error: first\nerror: second\n");
    free(text);
}
END_TEST

enum { WRITERS = 4, LINES_EACH = 200 };

static void *write_lines(void *arg)
{
    const char *letter = arg;
    char word[65];

    memset(word, *letter, 64);
    word[64] = '\0';
    for (int i = 0; i < LINES_EACH; i++)
        log_info("%s %d", word, i);
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
    static char letters[WRITERS][2] = {"a", "b", "c", "d"};
    pthread_t threads[WRITERS];
    int next[WRITERS] = {0};
    char *text;

    support_capture(STDERR_FILENO);
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, letters[i]), 0);
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    text = captured_lines();
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        int writer = line[strlen("info: ")] - 'a';

        ck_assert_msg(writer >= 0 && writer < WRITERS, "%s", line);
        ck_assert_uint_eq(strspn(line + strlen("info: "), letters[writer]), 64);
        ck_assert_int_eq(strtol(line + strlen("info: ") + 65, NULL, 10), next[writer]++);
    }
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(next[i], LINES_EACH);
    free(text);
}
END_TEST

enum { WHOLE_BYTES = 300000 };

static void *write_whole(void *arg)
{
    log_whole(LOG_LEVEL_NOTICE, arg);
    return NULL;
}

static bool is_full_pipe(int fd, int size)
{
    int held;

    ck_assert_int_eq(ioctl(fd, FIONREAD, &held), 0);
    return held == size;
}

/* A pipe takes what is longer than itself in pieces, and others write meanwhile. */
START_TEST(a_whole_line_in_a_pipe_is_not_torn_by_others)
{
    char *whole = malloc(WHOLE_BYTES + 1), buffer[1000], letter[] = "a", *text, *line;
    int ends[2], kept = dup(STDERR_FILENO), size, lines = 0;
    struct strbuf read_so_far = {0};
    pthread_t writer, other;
    ssize_t n;

    memset(whole, 'y', WHOLE_BYTES);
    whole[WHOLE_BYTES] = '\0';
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    size = fcntl(ends[0], F_SETPIPE_SZ, 4096);
    ck_assert_int_gt(size, 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    ck_assert_int_eq(pthread_create(&writer, NULL, write_whole, whole), 0);
    while (!is_full_pipe(ends[0], size))
        sched_yield();
    ck_assert_int_eq(pthread_create(&other, NULL, write_lines, letter), 0);
    for (; lines < 1 + LINES_EACH; strbuf_add(&read_so_far, buffer, (size_t)n)) {
        n = read(ends[0], buffer, sizeof buffer);
        ck_assert_int_gt(n, 0);
        for (ssize_t i = 0; i < n; i++)
            lines += buffer[i] == '\n';
    }
    pthread_join(writer, NULL);
    pthread_join(other, NULL);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[0]);
    text = without_stamps(strbuf_take(&read_so_far));
    line = strstr(text, "notice: ");
    ck_assert_ptr_nonnull(line);
    ck_assert_uint_eq(strspn(line + strlen("notice: "), "y"), WHOLE_BYTES);
    free(text);
    free(whole);
}
END_TEST

static struct log_limit shared_limit = {.interval_ns = NS_PER_SEC};

static void *flood(void *arg)
{
    (void)arg;
    for (int i = 0; i < LINES_EACH; i++)
        log_limited(&shared_limit, LOG_LEVEL_INFO, "flood");
    return NULL;
}

START_TEST(a_limit_counts_over_all_threads)
{
    pthread_t threads[WRITERS];
    char expected[128], *text;

    support_clock_stop(NS_PER_SEC);
    support_capture(STDERR_FILENO);
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, flood, NULL), 0);
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    support_clock_set(3 * NS_PER_SEC);
    log_limited(&shared_limit, LOG_LEVEL_INFO, "last");
    text = captured_lines();
    snprintf(expected, sizeof expected, "info: flood\ninfo: last (%d alike suppressed before)\n",
             WRITERS * LINES_EACH - 1);
    ck_assert_str_eq(text, expected);
    free(text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        info_is_the_default_level,
        a_level_holds_back_what_is_less_important,
        control_characters_cannot_forge_a_line,
        a_long_message_is_cut_to_one_line,
        a_whole_line_is_not_cut,
        errno_survives,
        the_journal_gets_fields,
        a_long_field_is_cut,
        the_last_words_go_to_its_stream,
        a_log_that_is_no_journal_stays_what_it_is,
        without_the_journal_its_stream_gets_a_priority_instead_of_a_stamp,
        a_limit_holds_lines_back_and_tells_how_many,
        a_limit_does_not_count_what_the_level_holds_back,
        lines_of_several_threads_do_not_mix,
        a_whole_line_in_a_pipe_is_not_torn_by_others,
        a_limit_counts_over_all_threads,
    };

    return support_run("log", tests, COUNT_OF(tests));
}
