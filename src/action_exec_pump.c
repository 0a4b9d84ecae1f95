/* DESIGN
 *
 * One poll(2) waits for all that can happen to a program: it takes input, gives output, ends, or its
 * task is cancelled.  Nothing else blocks, so a program that writes before it reads cannot lock up
 * with us, and a cancel is obeyed at once.
 *
 * Ending.  The group gets the configured signal, and SIGKILL when the grace is over.  A run is over
 * when the leader has ended and either both pipes are closed or SIGKILL has gone out: a member of the
 * group that keeps a pipe open cannot hold the worker for longer than the grace, and one that has
 * left the group cannot hold it at all. */
#include "action_exec.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { PIECE = 16 << 10 };

static void kill_now(struct exec_run *run)
{
    child_signal(&run->child, SIGKILL);
    run->killed = true;
}

/* Ends the group; `result` is why, 0 when the leader has ended by itself. */
static void end_group(struct exec_run *run, int result)
{
    if (!run->result)
        run->result = result;
    if (run->ending)
        return;
    run->ending = true;
    child_close(&run->child.in);
    if (run->settings->signal != SIGKILL && run->settings->kill_grace) {
        child_signal(&run->child, run->settings->signal);
        run->kill_at = clock_now_ns() + run->settings->kill_grace;
    } else {
        kill_now(run);
    }
}

static void feed(struct exec_run *run)
{
    struct slice *rest = &run->to_feed;

    while (rest->len) {
        ssize_t n = write(run->child.in, rest->data, rest->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break; /* the program does not read any more, which is its own business */
        rest->data += n;
        rest->len -= (size_t)n;
    }
    child_close(&run->child.in);
}

static void take_output(struct exec_run *run, const char *data, size_t len)
{
    /* What comes after the end was ordered is of no use to anybody. */
    if (run->result)
        return;
    if (len > (size_t)run->settings->max_output - run->output.len) {
        end_group(run, -EFBIG);
        return;
    }
    strbuf_add(&run->output, data, len);
    if (run->output.failed)
        end_group(run, -ENOMEM);
}

/* Reads what is there; at the end of the pipe it is closed. */
static void drain(struct exec_run *run, int *fd,
                  void (*take)(struct exec_run *run, const char *data, size_t len))
{
    char piece[PIECE];

    /* A flood ends by max_output; here it only must not keep us from looking at the rest. */
    for (int turns = 0; *fd >= 0 && turns < 64; turns++) {
        ssize_t n = read(*fd, piece, sizeof piece);

        if (n > 0)
            take(run, piece, (size_t)n);
        else if (n == 0 || (errno != EINTR && errno != EAGAIN))
            child_close(fd);
        else if (errno == EAGAIN)
            return;
    }
}

static void look_at_task(struct exec_run *run)
{
    uint64_t count;

    /* Only resets it; what has happened is asked of the task. */
    (void)!read(run->wake_fd, &count, sizeof count);
    if (task_cancelled(&run->request->task))
        end_group(run, -ECANCELED);
}

static void leader_ended(struct exec_run *run)
{
    run->exited = true;
    child_close(&run->child.in);
    drain(run, &run->child.out, take_output);
    drain(run, &run->child.err, exec_log_add);
    if (run->child.out >= 0 || run->child.err >= 0)
        end_group(run, 0);
}

static bool is_over(const struct exec_run *run)
{
    return run->exited && (run->killed || (run->child.out < 0 && run->child.err < 0));
}

static int milliseconds_left(const struct exec_run *run)
{
    int64_t left;

    if (!run->ending || run->killed)
        return -1;
    left = run->kill_at - clock_now_ns();
    if (left <= 0)
        return 0;
    return left / NS_PER_MS >= INT_MAX ? INT_MAX : (int)(left / NS_PER_MS) + 1;
}

static void wait_once(struct exec_run *run)
{
    struct pollfd fds[] = {
        {.fd = run->wake_fd, .events = POLLIN},
        {.fd = run->child.in, .events = POLLOUT},
        {.fd = run->child.out, .events = POLLIN},
        {.fd = run->child.err, .events = POLLIN},
        {.fd = run->exited ? -1 : run->child.pidfd, .events = POLLIN},
    };

    if (poll(fds, sizeof fds / sizeof *fds, milliseconds_left(run)) < 0)
        return;
    if (fds[0].revents)
        look_at_task(run);
    if (fds[1].revents && run->child.in >= 0)
        feed(run);
    if (fds[2].revents)
        drain(run, &run->child.out, take_output);
    if (fds[3].revents)
        drain(run, &run->child.err, exec_log_add);
    if (fds[4].revents)
        leader_ended(run);
    if (milliseconds_left(run) == 0)
        kill_now(run);
}

void exec_pump(struct exec_run *run)
{
    if (run->child.in >= 0)
        feed(run);
    while (!is_over(run))
        wait_once(run);
    run->status = child_reap(&run->child, &run->cpu_ns);
    exec_log_end(run);
}
