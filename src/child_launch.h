/* child_launch.h - the step from this process to another program: child.c's own. */
#ifndef HANDOFFD_CHILD_LAUNCH_H
#define HANDOFFD_CHILD_LAUNCH_H

#include "child.h"

/* The child's ends, none of them below 3.  `in` -1: /dev/null, `err` -1: the same, or as `out`. */
struct child_ends {
    int in, out, err;
};

/* Starts the program with these as its standard descriptors and leads a process group with it.  0 with
 * `*pid` and `*pidfd` (close-on-exec), or -errno, also that of chdir(2) and execve(2). */
int child_launch(const struct child_spec *spec, const struct child_ends *ends, pid_t *pid,
                 int *pidfd) WARN_UNUSED;

#endif
