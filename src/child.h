/* child.h - a program that runs for one request, in a process group of its own.
 *
 * Everything here is called by the worker that runs the program; it owns the struct. */
#ifndef HANDOFFD_CHILD_H
#define HANDOFFD_CHILD_H

#include "parse_num.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum child_stderr { CHILD_STDERR_PIPE, CHILD_STDERR_NULL, CHILD_STDERR_MERGE };

struct child_spec {
    const char *path; /* absolute; no search, no shell */
    char *const *argv;
    char *const *envp;
    const char *cwd;
    bool with_stdin; /* a pipe; otherwise /dev/null */
    enum child_stderr err;
};

struct child {
    pid_t pid;        /* of the leader, and the number of its group */
    int pidfd;        /* readable when the leader has ended */
    int in, out, err; /* our ends of its pipes, which do not block; -1: none */
};

/* Once, before the first program and best before much else is open: takes the descriptors that starting
 * programs needs.  They are kept until the process ends.  0 or -errno; child_spawn does it otherwise. */
int child_setup(void) WARN_UNUSED;

/* Starts the program.  It inherits the three standard descriptors and nothing else: no signal mask,
 * no ignored signals, no environment but the given one.  0 or -errno, also that of execve(2). */
int child_spawn(struct child *child, const struct child_spec *spec) WARN_UNUSED;

/* Sends a signal to the whole group.  Only before child_reap: until then nobody else can have the
 * group's number. */
void child_signal(const struct child *child, int signal);

/* Kills what is left of the group, takes the leader's exit status (waitpid(2)) and closes what is
 * open.  Waits for the leader if it has not ended.  `*cpu_ns` is the CPU time of the leader and of
 * all descendants that were waited for. */
int child_reap(struct child *child, int64_t *cpu_ns);

/* Closes one of the descriptors, if it is open. */
void child_close(int *fd);

#endif
