/* DESIGN
 *
 * clone(2) starts the child the way vfork(2) would: it runs in the memory of this process, on a stack
 * of its own, while the thread that makes it waits until it has become the other program.  Nothing is
 * copied for it and none of our locks is held in it.  posix_spawn(3) does the same, but asks for the
 * state of all 64 signals, maps and unmaps a stack and copies the whole table of descriptors, each
 * time; that is a fifth of what it costs to run a small program, and with thousands of connections
 * open nearly all of it.
 *
 * In the child only system calls are made, by their numbers: what the C library or a sanitizer notes
 * of a call would be noted in the parent.
 *
 * Signals.  All are blocked in the child until it has taken back what this process ignores or
 * handles.  Which these are is looked up once, when the first program starts.
 *
 * Descriptors.  The child begins with our table, not with a copy, and takes a copy of its lowest part
 * alone, up to the highest that it needs (close_range(2)).  So that this is a small part however many
 * connections there are, some low numbers are kept occupied from the start; a child's ends are moved
 * there when theirs are high. */
#include "child_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child runs must leave no trace in the shadow memory of the thread that waits. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

enum {
    N_SEATS = 4,       /* as many programs start at once from low numbers */
    HIGH = 64,         /* from here on a table is worth to be cut short */
    STACK_SIZE = 8192, /* the child calls nothing that is deep */
    N_STANDARD = 3,
};

/* Low numbers for the ends of one child. */
struct seat {
    atomic_bool taken;
    int fds[N_STANDARD];
};

static pthread_once_t seats_once = PTHREAD_ONCE_INIT;
static struct seat seats[N_SEATS];
static int null_fd = -1, seats_error;

static pthread_once_t signals_once = PTHREAD_ONCE_INIT;
static int changed_signals[_NSIG]; /* ends with 0 */

/* ---- once ------------------------------------------------------------------------------------ */

static int open_null(void)
{
    int low = open("/dev/null", O_RDWR | O_CLOEXEC), fd = low;

    if (low >= 0 && low < N_STANDARD) {
        fd = fcntl(low, F_DUPFD_CLOEXEC, N_STANDARD);
        close(low);
    }
    if (fd < 0)
        seats_error = -errno;
    return fd;
}

static void take_seats(void)
{
    null_fd = open_null();
    for (int i = 0; !seats_error && i < N_SEATS; i++)
        for (int k = 0; k < N_STANDARD; k++)
            seats[i].fds[k] = open_null();
}

int child_setup(void)
{
    pthread_once(&seats_once, take_seats);
    return seats_error;
}

/* As the kernel takes it; all zero is SIG_DFL. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

/* The C library says nothing of the two that are its own, but they may have come ignored like any other. */
static void look_up_signals(void)
{
    struct kernel_action action;
    int n = 0;

    for (int i = 1; i < _NSIG; i++)
        if (syscall(SYS_rt_sigaction, i, NULL, &action, sizeof action.mask) == 0 &&
            action.handler != SIG_DFL)
            changed_signals[n++] = i;
}

/* ---- seats ----------------------------------------------------------------------------------- */

static int highest(const struct child_ends *ends)
{
    int fd = ends->out > null_fd ? ends->out : null_fd;

    fd = ends->in > fd ? ends->in : fd;
    return ends->err > fd ? ends->err : fd;
}

/* NULL: not worth it, or none is free. */
static struct seat *take_seat(const struct child_ends *ends)
{
    if (highest(ends) < HIGH)
        return NULL;
    for (int i = 0; i < N_SEATS; i++)
        if (!atomic_exchange(&seats[i].taken, true))
            return &seats[i];
    return NULL;
}

/* The ends stay open where they were, too, and are the caller's to close. */
static int sit_down(const struct seat *seat, struct child_ends *ends)
{
    int *const fds[N_STANDARD] = {&ends->in, &ends->out, &ends->err};

    for (int i = 0; i < N_STANDARD; i++) {
        if (*fds[i] < 0)
            continue;
        if (dup3(*fds[i], seat->fds[i], O_CLOEXEC) < 0)
            return -errno;
        *fds[i] = seat->fds[i];
    }
    return 0;
}

static void leave_seat(struct seat *seat)
{
    for (int i = 0; i < N_STANDARD; i++)
        dup3(null_fd, seat->fds[i], O_CLOEXEC);
    atomic_store(&seat->taken, false);
}

/* ---- the child ------------------------------------------------------------------------------- */

struct launch {
    const struct child_spec *spec;
    int standard[N_STANDARD];
    unsigned n_kept; /* of the descriptors, until the standard ones are in their places */
    int error;
};

IN_CHILD static long reset_signals(void)
{
    static const struct kernel_action normal;
    long r = 0;

    for (int i = 0; !r && changed_signals[i]; i++)
        r = syscall(SYS_rt_sigaction, changed_signals[i], &normal, NULL, sizeof normal.mask);
    return r;
}

IN_CHILD static long place_descriptors(const struct launch *launch)
{
    long r = syscall(SYS_close_range, launch->n_kept, ~0U, CLOSE_RANGE_UNSHARE);

    for (int i = 0; r >= 0 && i < N_STANDARD; i++)
        r = syscall(SYS_dup3, launch->standard[i], i, 0);
    return r < 0 ? r : syscall(SYS_close_range, N_STANDARD, ~0U, 0);
}

IN_CHILD static int become(void *arg)
{
    static const unsigned long no_signals;
    struct launch *launch = arg;
    const struct child_spec *spec = launch->spec;

    if (syscall(SYS_setpgid, 0, 0) >= 0 && reset_signals() >= 0 && place_descriptors(launch) >= 0 &&
        syscall(SYS_chdir, spec->cwd) >= 0 &&
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof no_signals) >= 0)
        syscall(SYS_execve, spec->path, spec->argv, spec->envp);
    launch->error = errno;
    syscall(SYS_exit_group, 127);
    return 127; /* not reached */
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* clone(2) by the other name that glibc has for it: ThreadSanitizer takes the usual one for a fork, and
 * would note in the memory of this process that it is another one now. */
int clone_unseen(int (*run)(void *), void *stack, int flags, void *arg, ...) __asm__("__clone");

static int clone_child(struct launch *launch, pid_t *pid, int *pidfd)
{
    _Alignas(16) char stack[STACK_SIZE];
    sigset_t all, before;
    int r = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    *pid =
        clone_unseen(become, stack + sizeof stack,
                     CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | SIGCHLD, launch, pidfd);
    if (*pid < 0)
        r = -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static int launch_from(const struct child_spec *spec, const struct child_ends *ends, pid_t *pid,
                       int *pidfd)
{
    struct launch launch = {
        .spec = spec,
        .standard = {ends->in >= 0 ? ends->in : null_fd, ends->out,
                     ends->err >= 0                   ? ends->err
                     : spec->err == CHILD_STDERR_NULL ? null_fd
                                                      : ends->out},
        .n_kept = (unsigned)highest(ends) + 1,
    };
    int r = clone_child(&launch, pid, pidfd);

    if (r || !launch.error)
        return r;
    /* It has ended already: the thread waited for that. */
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    child_close(pidfd);
    *pid = -1;
    return -launch.error;
}

int child_launch(const struct child_spec *spec, const struct child_ends *ends, pid_t *pid,
                 int *pidfd)
{
    struct child_ends low = *ends;
    struct seat *seat;
    int r = child_setup();

    if (r)
        return r;
    pthread_once(&signals_once, look_up_signals);
    seat = take_seat(ends);
    if (seat)
        r = sit_down(seat, &low);
    if (!r)
        r = launch_from(spec, &low, pid, pidfd);
    if (seat)
        leave_seat(seat);
    return r;
}
