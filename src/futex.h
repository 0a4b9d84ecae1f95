/* futex.h - the two calls of futex(2) that the hand-over needs, private to this process. */
#ifndef HANDOFFD_FUTEX_H
#define HANDOFFD_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word == value, at most until `deadline` (CLOCK_MONOTONIC; NULL: for ever).  May
 * return early for no reason: look at the word again. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t value,
                              const struct timespec *deadline)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, deadline, NULL,
                  FUTEX_BITSET_MATCH_ANY);
}

/* Wakes one sleeper. */
static inline void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

#endif
