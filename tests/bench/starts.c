/* What the machine itself can do: programs started and waited for, with nothing around them.
 *
 *     starts THREADS SECONDS PROGRAM
 *
 * Each thread calls posix_spawn(3) and waitpid(2) in turns.  Prints how many programs have ended in a
 * second, and the microseconds of CPU for each. */
#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { MAX_THREADS = 64 };

static const char *program;
static posix_spawn_file_actions_t to_nowhere;
static int64_t deadline_ns;
static _Atomic long n_ended;

static void *start_and_wait(void *arg)
{
    static char name[] = "program";
    char *argv[] = {name, NULL}, *envp[] = {NULL};

    while (clock_now_ns() < deadline_ns) {
        pid_t pid;
        int status;

        if (posix_spawn(&pid, program, &to_nowhere, NULL, argv, envp) ||
            waitpid(pid, &status, 0) != pid) {
            perror(program);
            exit(1);
        }
        atomic_fetch_add(&n_ended, 1);
    }
    return arg;
}

static double used_us(int who)
{
    struct rusage usage;

    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    int n_threads = argc == 4 ? atoi(argv[1]) : 0;
    int64_t begun = clock_now_ns();
    pthread_t threads[MAX_THREADS];

    if (n_threads < 1 || n_threads > MAX_THREADS) {
        fprintf(stderr, "usage: starts THREADS SECONDS PROGRAM\n");
        return 64;
    }
    program = argv[3];
    if (posix_spawn_file_actions_init(&to_nowhere) ||
        posix_spawn_file_actions_addopen(&to_nowhere, 1, "/dev/null", O_WRONLY, 0))
        return 71;
    deadline_ns = begun + (int64_t)(strtod(argv[2], NULL) * 1e9);
    for (int i = 0; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, start_and_wait, NULL))
            return 71;
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    printf("%.1f %.1f\n", (double)n_ended * 1e9 / (double)(clock_now_ns() - begun),
           (used_us(RUSAGE_SELF) + used_us(RUSAGE_CHILDREN)) / (double)n_ended);
    return 0;
}
