/* support.h - what several unit tests share: running a suite, files in a directory of its own,
 * captured output, a fake clock, seeded random numbers, and letters that can be waited for. */
#ifndef HANDOFFD_TESTS_SUPPORT_H
#define HANDOFFD_TESTS_SUPPORT_H

#include "conf.h"
#include "mailbox.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Runs the tests as one suite and returns the exit status for main.  They share a directory that is
 * removed at the end, however they end. */
int support_run(const char *suite, const TTest *const *tests, size_t count);

/* A path inside the suite's directory; good until eight more have been asked for. */
const char *support_path(const char *name);

/* Writes a file into the suite's directory, makes directories on the way, and returns its path. */
const char *support_write(const char *name, const char *text);
const char *support_write_bytes(const char *name, const void *bytes, size_t len);

/* What goes to a descriptor (1 or 2) between the two calls; the caller free()s the result. */
void support_capture(int fd);
char *support_captured(void);

/* Replaces the monotonic clock by one that stands still. */
void support_clock_stop(int64_t now_ns);
void support_clock_set(int64_t now_ns);

/* Random numbers that a seed repeats; it is printed and can be set with HANDOFFD_TEST_SEED. */
struct support_random {
    uint64_t state;
};

struct support_random support_random_new(const char *test);
uint32_t support_random_below(struct support_random *random, uint32_t limit);

/* On the mailbox owner's thread: waits until at least so many letters have been delivered and
 * returns how many.  The second one fails if there were more. */
size_t support_deliver_least(struct mailbox *box, size_t least);
void support_deliver(struct mailbox *box, size_t count);

/* Loads a configuration with the daemon's own actions.  _good fails the test when there is any
 * fault.  _faults fails it when there is none, and returns them as lines "WHERE: TEXT" with the
 * directory's name taken out; the caller free()s them. */
struct conf *support_conf_good(const char *path, const char *const *overrides, size_t n);
char *support_conf_faults(const char *path, const char *const *overrides, size_t n);

/* The same for text, as a file of its own and without overrides. */
struct conf *support_conf_text(const char *text);

/* Fails unless `text` holds `part`. */
#define ck_assert_contains(text, part) \
    ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" is not in: %s", (part), (text))
#define ck_assert_lacks(text, part) \
    ck_assert_msg(strstr((text), (part)) == NULL, "\"%s\" is in: %s", (part), (text))

/* Compares the whole of a strbuf and empties it. */
#define ck_assert_strbuf(sb, expected)                 \
    do {                                               \
        ck_assert_str_eq(strbuf_cstr(sb), (expected)); \
        strbuf_free(sb);                               \
    } while (0)

#endif
