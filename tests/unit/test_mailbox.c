#include "mailbox.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct letter {
    struct mail mail;
    int poster;
    int number;
};

enum { POSTERS = 4, LETTERS = 5000 };

static struct mailbox box;
static int next_number[POSTERS];

/* Each poster's letters come once and in order. */
static void check_letter(struct mail *mail)
{
    struct letter *letter = (struct letter *)(void *)mail;

    ck_assert_int_eq(letter->number, next_number[letter->poster]);
    next_number[letter->poster]++;
    free(letter);
}

static void post(int poster, int number)
{
    struct letter *letter = malloc(sizeof *letter);

    *letter = (struct letter){{NULL, check_letter}, poster, number};
    mailbox_post(&box, &letter->mail);
}

/* How often the descriptor has been written since the last call. */
static uint64_t edges(void)
{
    uint64_t count;

    if (read(box.fd, &count, sizeof count) == sizeof count)
        return count;
    ck_assert_int_eq(errno, EAGAIN);
    return 0;
}

START_TEST(a_new_mailbox_is_empty)
{
    ck_assert_int_eq(mailbox_init(&box), 0);
    ck_assert_uint_eq(mailbox_deliver(&box), 0);
    ck_assert_uint_eq(edges(), 0);
    ck_assert_int_eq(fcntl(box.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    mailbox_close(&box);
    ck_assert_int_lt(box.fd, 0);
    mailbox_close(&box);
}
END_TEST

START_TEST(letters_come_oldest_first)
{
    ck_assert_int_eq(mailbox_init(&box), 0);
    for (int i = 0; i < 10; i++)
        post(0, i);
    ck_assert_uint_eq(mailbox_deliver(&box), 10);
    ck_assert_int_eq(next_number[0], 10);
    ck_assert_uint_eq(mailbox_deliver(&box), 0);
    mailbox_close(&box);
}
END_TEST

START_TEST(only_the_first_letter_of_an_empty_box_wakes)
{
    ck_assert_int_eq(mailbox_init(&box), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            post(0, round * 5 + i);
            ck_assert_uint_eq(edges(), i == 0);
        }
        ck_assert_uint_eq(mailbox_deliver(&box), 5);
        ck_assert_uint_eq(edges(), 0);
    }
    mailbox_close(&box);
}
END_TEST

static void post_again(struct mail *mail)
{
    struct letter *letter = (struct letter *)(void *)mail;

    if (--letter->number)
        mailbox_post(&box, mail);
}

START_TEST(a_letter_posted_by_a_delivery_comes_with_the_next)
{
    struct letter letter = {{NULL, post_again}, 0, 3};

    ck_assert_int_eq(mailbox_init(&box), 0);
    mailbox_post(&box, &letter.mail);
    for (int left = 2; left >= 0; left--) {
        ck_assert_uint_eq(edges(), 1);
        ck_assert_uint_eq(mailbox_deliver(&box), 1);
        ck_assert_int_eq(letter.number, left);
    }
    ck_assert_uint_eq(edges(), 0);
    ck_assert_uint_eq(mailbox_deliver(&box), 0);
    mailbox_close(&box);
}
END_TEST

START_TEST(a_full_counter_does_not_block_a_poster)
{
    const uint64_t full = UINT64_MAX - 1;

    ck_assert_int_eq(mailbox_init(&box), 0);
    ck_assert_int_eq(write(box.fd, &full, sizeof full), sizeof full);
    post(0, 0);
    ck_assert_uint_eq(mailbox_deliver(&box), 1);
    mailbox_close(&box);
}
END_TEST

static void *post_all(void *arg)
{
    const int *poster = arg;

    for (int i = 0; i < LETTERS; i++)
        post(*poster, i);
    return NULL;
}

/* What each poster wrote before is seen at delivery, in order, and nothing is lost: the owner waits
 * for the descriptor whenever the box is empty. */
START_TEST(nothing_is_lost_between_threads)
{
    static int posters[POSTERS] = {0, 1, 2, 3};
    pthread_t threads[POSTERS];

    ck_assert_int_eq(mailbox_init(&box), 0);
    for (int i = 0; i < POSTERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    support_deliver(&box, (size_t)POSTERS * LETTERS);
    for (int i = 0; i < POSTERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(next_number[i], LETTERS);
    }
    ck_assert_uint_eq(mailbox_deliver(&box), 0);
    mailbox_close(&box);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_new_mailbox_is_empty,
        letters_come_oldest_first,
        only_the_first_letter_of_an_empty_box_wakes,
        a_letter_posted_by_a_delivery_comes_with_the_next,
        a_full_counter_does_not_block_a_poster,
        nothing_is_lost_between_threads,
    };

    return support_run("mailbox", tests, COUNT_OF(tests));
}
