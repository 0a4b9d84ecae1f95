/* clock.h - time: monotonic nanoseconds for durations, HTTP dates for people.  Any thread. */
#ifndef HANDOFFD_CLOCK_H
#define HANDOFFD_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

/* CLOCK_MONOTONIC in nanoseconds, or what the source set below returns. */
int64_t clock_now_ns(void);

/* For tests: replaces the monotonic clock; NULL brings the real one back.  Not thread-safe: call
 * it while no other thread runs. */
void clock_set_source(int64_t (*source)(void));

/* CPU time that the calling thread has used, in nanoseconds (CLOCK_THREAD_CPUTIME_ID). */
int64_t clock_thread_cpu_ns(void);

struct timespec clock_to_timespec(int64_t ns);

enum { HTTP_DATE_SIZE = 30 };

/* Writes the IMF-fixdate of RFC 9110, 5.6.7 ("Sun, 06 Nov 1994 08:49:37 GMT") and a NUL. */
void clock_http_date(time_t when, char out[HTTP_DATE_SIZE]);

/* Reads a date of any of the three forms that RFC 9110, 5.6.7, wants to be read.  False: it is none. */
bool clock_parse_http_date(const char *text, time_t *when);

#endif
