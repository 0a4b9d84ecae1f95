#include "line_sink.h"
#include "line_writer.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct line_writer *new_writer(const char *place)
{
    struct line_writer *writer = line_writer_new(NULL);
    struct line_target *target = line_target_open(place);

    ck_assert_ptr_nonnull(writer);
    ck_assert_ptr_nonnull(target);
    line_writer_set_target(writer, target);
    ck_assert_int_eq(line_writer_start(writer), 0);
    return writer;
}

static void add(struct line_writer *writer, unsigned source, const char *line)
{
    ck_assert(line_writer_add(writer, source, line, strlen(line)));
    line_writer_kick(writer, source);
}

/* The whole of a file; the caller free()s it. */
static char *content(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    char *text;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    text = calloc(1, (size_t)st.st_size + 1);
    ck_assert_int_eq(read(fd, text, (size_t)st.st_size), st.st_size);
    close(fd);
    return text;
}

/* The writer tells by its counts when it has written. */
static struct line_writer_counts wait_until_written(struct line_writer *writer, uint64_t lines)
{
    struct line_writer_counts counts;

    do
        line_writer_get_counts(writer, &counts);
    while (counts.written + counts.dropped < lines);
    return counts;
}

START_TEST(lines_come_out_as_they_went_in)
{
    const char *path = support_path("log");
    struct line_writer *writer = new_writer(path);
    char *text;

    add(writer, 0, "one\n");
    wait_until_written(writer, 1);
    text = content(path);
    ck_assert_str_eq(text, "one\n");
    free(text);
    add(writer, 0, "two\n");
    add(writer, 0, "three\n");
    line_writer_free(writer);
    text = content(path);
    ck_assert_str_eq(text, "one\ntwo\nthree\n");
    free(text);
}
END_TEST

START_TEST(a_new_target_takes_what_comes_later)
{
    struct line_writer *writer = new_writer(support_path("before"));
    char *before, *after;

    add(writer, 0, "old\n");
    wait_until_written(writer, 1);
    line_writer_set_target(writer, line_target_open(support_path("never")));
    line_writer_set_target(writer, line_target_open(support_path("after")));
    add(writer, 0, "new\n");
    line_writer_free(writer);
    before = content(support_path("before"));
    after = content(support_path("after"));
    ck_assert_str_eq(before, "old\n");
    ck_assert_str_eq(after, "new\n");
    free(before);
    free(after);
}
END_TEST

START_TEST(a_file_is_appended_to)
{
    const char *path = support_write("log", "there\n");
    struct line_writer *writer = new_writer(path);
    char *text;

    add(writer, 0, "more\n");
    line_writer_free(writer);
    text = content(path);
    ck_assert_str_eq(text, "there\nmore\n");
    free(text);
}
END_TEST

START_TEST(nowhere_takes_everything)
{
    struct line_writer *writer = new_writer("off");

    add(writer, 0, "gone\n");
    ck_assert_uint_eq(wait_until_written(writer, 1).dropped, 0);
    line_writer_free(writer);
}
END_TEST

START_TEST(standard_error_is_shared)
{
    struct line_writer *writer;
    char long_line[10000], *text;

    memset(long_line, 'x', sizeof long_line);
    long_line[sizeof long_line - 2] = '\n';
    long_line[sizeof long_line - 1] = '\0';
    support_capture(2);
    writer = new_writer("stderr");
    for (int i = 0; i < 1000; i++)
        add(writer, 0, "a line of some length\n");
    add(writer, 0, long_line);
    line_writer_free(writer);
    text = support_captured();
    ck_assert_uint_eq(strlen(text), 1000 * strlen("a line of some length\n") + strlen(long_line));
    ck_assert_ptr_eq(strstr(text, long_line), text + 1000 * strlen("a line of some length\n"));
    free(text);
    ck_assert_int_ge(write(2, "", 0), 0); /* still open */
}
END_TEST

START_TEST(what_cannot_be_opened_is_told)
{
    ck_assert_ptr_null(line_sink_open(support_path("no/such/directory/log")));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(mkfifo(support_path("fifo"), 0600), 0);
    ck_assert_ptr_null(line_sink_open(support_path("fifo")));
    ck_assert_int_eq(errno, ENXIO);
}
END_TEST

static _Atomic int failure;

static void note_failure(int error)
{
    failure = error;
}

START_TEST(lines_that_cannot_be_written_are_counted_as_dropped)
{
    struct line_writer *writer = line_writer_new(note_failure);

    line_writer_set_target(writer, line_target_open("/dev/full"));
    ck_assert_int_eq(line_writer_start(writer), 0);
    add(writer, 0, "one\n");
    add(writer, 0, "two\n");
    ck_assert_uint_eq(wait_until_written(writer, 2).written, 0);
    ck_assert_int_eq(failure, ENOSPC);
    line_writer_free(writer);
}
END_TEST

/* A pipe that nobody reads: the ring fills, then lines are dropped, and adding never waits. */
START_TEST(a_place_that_takes_nothing_makes_lines_drop)
{
    const char *path = support_path("slow");
    struct line_writer *writer;
    struct line_writer_counts counts;
    char line[1024], *bytes = malloc(1 << 20);
    uint64_t added = 0, dropped = 0, came = 0;
    int reader;

    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(reader, 0);
    writer = new_writer(path);
    while (dropped < 100) {
        bool ok = line_writer_add(writer, 3, line, sizeof line);

        line_writer_kick(writer, 3);
        added += ok;
        dropped += !ok;
    }
    ck_assert_uint_ge(added, LINE_RING_SIZE / sizeof line);
    /* Somebody reads again: nothing of what was added is lost. */
    while (came < added * sizeof line) {
        struct pollfd poll_fd = {.fd = reader, .events = POLLIN};
        ssize_t n;

        poll(&poll_fd, 1, -1);
        n = read(reader, bytes, 1 << 20);
        ck_assert_int_gt(n, 0);
        for (ssize_t i = 0; i < n; i++, came++)
            ck_assert_int_eq(bytes[i], came % sizeof line == sizeof line - 1 ? '\n' : 'x');
    }
    wait_until_written(writer, added + dropped);
    line_writer_get_counts(writer, &counts);
    ck_assert_uint_eq(counts.written, added);
    ck_assert_uint_eq(counts.dropped, dropped);
    line_writer_free(writer);
    close(reader);
    free(bytes);
}
END_TEST

enum { SOURCES = 4, LINES = 20000 };

struct source {
    struct line_writer *writer;
    unsigned number;
};

static void *add_many(void *arg)
{
    struct source *source = arg;

    for (int i = 0; i < LINES; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%u %d\n", source->number, i);

        while (!line_writer_add(source->writer, source->number, line, (size_t)len))
            line_writer_kick(source->writer, source->number);
        if (i % 7 == 0)
            line_writer_kick(source->writer, source->number);
    }
    line_writer_kick(source->writer, source->number);
    return NULL;
}

START_TEST(sources_are_threads_of_their_own)
{
    const char *path = support_path("many");
    struct line_writer *writer = new_writer(path);
    struct source sources[SOURCES];
    pthread_t threads[SOURCES];
    int next[SOURCES] = {0};
    char *text, *at;

    for (unsigned i = 0; i < SOURCES; i++) {
        sources[i] = (struct source){writer, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, &sources[i]), 0);
    }
    for (unsigned i = 0; i < SOURCES; i++)
        pthread_join(threads[i], NULL);
    line_writer_free(writer);
    text = content(path);
    for (at = text; *at; at = strchr(at, '\n') + 1) {
        char *blank;
        unsigned long number = strtoul(at, &blank, 10);

        ck_assert_uint_lt(number, SOURCES);
        ck_assert_int_eq(*blank, ' ');
        ck_assert_int_eq(strtol(blank, NULL, 10), next[number]++);
    }
    for (unsigned i = 0; i < SOURCES; i++)
        ck_assert_int_eq(next[i], LINES);
    free(text);
}
END_TEST

/* Each line is waited for before the next is added: a lost wake-up would hang. */
START_TEST(no_wake_up_is_lost)
{
    struct line_writer *writer = new_writer("off");

    for (uint64_t i = 1; i <= 30; i++) {
        add(writer, 0, "line\n");
        wait_until_written(writer, i);
    }
    line_writer_free(writer);
}
END_TEST

START_TEST(one_that_was_never_used_can_be_freed)
{
    line_writer_free(NULL);
    line_writer_free(line_writer_new(NULL));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lines_come_out_as_they_went_in,
        a_new_target_takes_what_comes_later,
        a_file_is_appended_to,
        nowhere_takes_everything,
        standard_error_is_shared,
        what_cannot_be_opened_is_told,
        lines_that_cannot_be_written_are_counted_as_dropped,
        a_place_that_takes_nothing_makes_lines_drop,
        sources_are_threads_of_their_own,
        no_wake_up_is_lost,
        one_that_was_never_used_can_be_freed,
    };

    return support_run("line_writer", tests, COUNT_OF(tests));
}
