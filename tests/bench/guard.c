/* What the guard costs: feeds one request to it again and again.
 * Usage: guard FILE COUNT   Prints the nanoseconds of CPU time that one request takes. */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void feed(struct guard *guard, const char *data, size_t len)
{
    static struct guard_event event;
    size_t used = 0;

    do
        used += guard_feed(guard, data + used, len - used, &event);
    while (event.type != GUARD_END && event.type != GUARD_MORE && event.type != GUARD_FAULT);
    if (event.type != GUARD_END || used != len) {
        fputs("guard: the file is not one whole request\n", stderr);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    static const struct guard_limits limits = {
        .max_head = 16384, .max_fields = 100, .max_trailer = 4096, .max_body = 1 << 20};
    static char request[1 << 16];
    long count = argc == 3 ? atol(argv[2]) : 0;
    FILE *file = count > 0 ? fopen(argv[1], "rb") : NULL;
    size_t len = file ? fread(request, 1, sizeof request, file) : 0;
    struct guard guard;
    int64_t began;

    if (!len) {
        fputs("usage: guard FILE COUNT\n", stderr);
        return EXIT_FAILURE;
    }
    fclose(file);
    guard_init(&guard, &limits);
    began = cpu_ns();
    for (long i = 0; i < count; i++)
        feed(&guard, request, len);
    printf("%.1f\n", (double)(cpu_ns() - began) / (double)count);
    guard_clear(&guard);
    return EXIT_SUCCESS;
}
