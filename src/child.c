/* DESIGN
 *
 * posix_spawn(3) starts the program the way vfork(2) would: the parent's memory is not copied and
 * none of its locks is inherited, whatever its other threads do.
 *
 * A signal goes to a process group by its number.  The number is the leader's, and it stays taken
 * for as long as the leader has not been waited for.  So the leader is waited for last of all, after
 * the last signal: no signal can hit a stranger, and no member of the group that has not left it can
 * outlive child_reap. */
#include "child.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

struct pipes {
    int in, out, err; /* the child's ends */
};

static int make_pipes(struct child *child, struct pipes *theirs, const struct child_spec *spec)
{
    int r = make_pipe(&child->out, &theirs->out, false);

    if (!r && spec->with_stdin)
        r = make_pipe(&child->in, &theirs->in, true);
    if (!r && spec->err == CHILD_STDERR_PIPE)
        r = make_pipe(&child->err, &theirs->err, false);
    return r;
}

static int place_descriptors(posix_spawn_file_actions_t *actions, const struct pipes *theirs,
                             const struct child_spec *spec)
{
    int r = theirs->in >= 0
                ? posix_spawn_file_actions_adddup2(actions, theirs->in, STDIN_FILENO)
                : posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (!r)
        r = posix_spawn_file_actions_adddup2(actions, theirs->out, STDOUT_FILENO);
    if (!r && spec->err == CHILD_STDERR_NULL)
        r = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    else if (!r)
        r = posix_spawn_file_actions_adddup2(
            actions, spec->err == CHILD_STDERR_MERGE ? theirs->out : theirs->err, STDERR_FILENO);
    if (!r)
        r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (!r)
        r = posix_spawn_file_actions_addchdir_np(actions, spec->cwd);
    return r;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    int r;

    sigfillset(&all);
    sigemptyset(&none);
    r = posix_spawnattr_setsigdefault(attributes, &all);
    if (!r)
        r = posix_spawnattr_setsigmask(attributes, &none);
    if (!r)
        r = posix_spawnattr_setpgroup(attributes, 0);
    if (!r)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETPGROUP);
    return r;
}

static int spawn(struct child *child, const struct child_spec *spec, const struct pipes *theirs)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&actions);

    if (r)
        return -r;
    r = posix_spawnattr_init(&attributes);
    if (!r) {
        r = place_descriptors(&actions, theirs, spec);
        if (!r)
            r = set_attributes(&attributes);
        if (!r)
            r = posix_spawn(&child->pid, spec->path, &actions, &attributes, spec->argv, spec->envp);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

int child_spawn(struct child *child, const struct child_spec *spec)
{
    struct pipes theirs = {-1, -1, -1};
    int64_t cpu_ns;
    int r;

    *child = (struct child){.pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1};
    r = make_pipes(child, &theirs, spec);
    if (!r)
        r = spawn(child, spec, &theirs);
    child_close(&theirs.in);
    child_close(&theirs.out);
    child_close(&theirs.err);
    if (!r) {
        child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
        r = child->pidfd < 0 ? -errno : 0;
        if (r)
            child_reap(child, &cpu_ns);
    }
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
