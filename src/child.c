/* DESIGN
 *
 * A signal goes to a process group by its number.  The number is the leader's, and it stays taken
 * for as long as the leader has not been waited for.  So the leader is waited for last of all, after
 * the last signal: no signal can hit a stranger, and no member of the group that has not left it can
 * outlive child_reap. */
#include "child.h"

#include "child_launch.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void child_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A descriptor below 3 would be overwritten by the child's standard ones. */
static int move_up(int *fd)
{
    int copy;

    if (*fd > STDERR_FILENO)
        return 0;
    copy = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0)
        return -errno;
    close(*fd);
    *fd = copy;
    return 0;
}

/* `ours` does not block, `theirs` does, as programs expect. */
static int make_pipe(int *ours, int *theirs, bool we_write)
{
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ours = ends[we_write];
    *theirs = ends[!we_write];
    r = move_up(ours);
    if (!r)
        r = move_up(theirs);
    if (!r && fcntl(*ours, F_SETFL, (we_write ? O_WRONLY : O_RDONLY) | O_NONBLOCK) < 0)
        r = -errno;
    return r;
}

static int make_pipes(struct child *child, struct child_ends *theirs, const struct child_spec *spec)
{
    int r = make_pipe(&child->out, &theirs->out, false);

    if (!r && spec->with_stdin)
        r = make_pipe(&child->in, &theirs->in, true);
    if (!r && spec->err == CHILD_STDERR_PIPE)
        r = make_pipe(&child->err, &theirs->err, false);
    return r;
}

int child_spawn(struct child *child, const struct child_spec *spec)
{
    struct child_ends theirs = {-1, -1, -1};
    int r;

    *child = (struct child){.pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1};
    r = make_pipes(child, &theirs, spec);
    if (!r)
        r = child_launch(spec, &theirs, &child->pid, &child->pidfd);
    child_close(&theirs.in);
    child_close(&theirs.out);
    child_close(&theirs.err);
    if (r) {
        child_close(&child->in);
        child_close(&child->out);
        child_close(&child->err);
    }
    return r;
}

void child_signal(const struct child *child, int signal)
{
    /* The leader itself may have gone to another group, and left this one empty or not. */
    if (kill(-child->pid, signal) < 0 || signal == SIGKILL)
        kill(child->pid, signal);
}

static int64_t ns_of(struct timeval time)
{
    return time.tv_sec * NS_PER_SEC + time.tv_usec * NS_PER_US;
}

int child_reap(struct child *child, int64_t *cpu_ns)
{
    struct rusage usage = {0};
    int status = 0;

    child_signal(child, SIGKILL);
    while (wait4(child->pid, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    *cpu_ns = ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
    child->pid = -1;
    child_close(&child->pidfd);
    child_close(&child->in);
    child_close(&child->out);
    child_close(&child->err);
    return status;
}
