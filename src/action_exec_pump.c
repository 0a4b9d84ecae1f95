/* DESIGN
 *
 * One poll(2) waits for all that can happen to a program: it takes input, gives output, ends, or its
 * task is cancelled.  Nothing else blocks (a stream's answer is only written to while it has room), so
 * a program that writes before it reads cannot lock up with us, and a cancel is obeyed at once.
 *
 * Ending.  The group gets the configured signal, and SIGKILL when the grace is over.  A run is over
 * when the leader has ended and either both pipes are closed, or SIGKILL has gone out and what was in
 * the pipe has been taken: a member of the group that keeps a pipe open cannot hold the worker for
 * longer than the grace, and one that has left the group not for much longer.
 *
 * A stream whose client is slow leaves its output in the pipe, so that the program waits; the task is
 * nudged when there is room again, as it is when more of a streamed body has come. */
#include "action_exec.h"

#include "answer_stream.h"
#include "body_stream.h"
#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { PIECE = 16 << 10, MOST_LATE = 1 << 20 };

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

/* Gets the next piece of the body.  false: there is none, now or at all. */
static bool get_food(struct exec_run *run)
{
    const char *data;
    ssize_t n = body_read_now(run->request, &data);

    run->starved = n == -EAGAIN;
    if (n > 0)
        run->to_feed = (struct slice){data, (size_t)n};
    else if (n == 0)
        child_close(&run->child.in);
    else if (n != -EAGAIN)
        end_group(run, (int)n);
    return n > 0;
}

static void feed(struct exec_run *run)
{
    struct slice *rest = &run->to_feed;

    while (run->child.in >= 0 && (rest->len || get_food(run))) {
        ssize_t n = write(run->child.in, rest->data, rest->len);

        if (n < 0 && errno == EAGAIN)
            return;
        /* A program that does not read any more is its own business. */
        if (n < 0 && errno != EINTR)
            child_close(&run->child.in);
        if (n > 0) {
            rest->data += n;
            rest->len -= (size_t)n;
        }
    }
}

uint64_t exec_most_output(const struct exec_settings *s)
{
    return s->max_output == OPTION_WORD ? UINT64_MAX : (uint64_t)s->max_output;
}

static void take_output(struct exec_run *run, const char *data, size_t len)
{
    int r = 0;

    /* What comes after the end was ordered is of no use to anybody. */
    if (run->result)
        return;
    run->n_output += len;
    if (run->killed)
        run->n_late += len;
    if (run->n_output > exec_most_output(run->settings))
        r = -EFBIG;
    else if (run->settings->stream)
        r = exec_stream_take(run, data, len);
    else
        strbuf_add(&run->output, data, len);
    if (run->output.failed)
        r = -ENOMEM;
    if (r)
        end_group(run, r);
}

static bool output_has_room(const struct exec_run *run)
{
    return !run->begun || run->result || answer_has_room(run->request);
}

enum drained { DRAINED_CLOSED, DRAINED_EMPTY, DRAINED_NOT };

/* Reads what is there and can be taken; at the end of the pipe it is closed. */
static enum drained drain(struct exec_run *run, int *fd,
                          void (*take)(struct exec_run *run, const char *data, size_t len))
{
    char piece[PIECE];

    /* A flood ends by its limit; here it only must not keep us from looking at the rest. */
    for (int turns = 0; *fd >= 0 && turns < 64; turns++) {
        ssize_t n;

        if (fd == &run->child.out && !output_has_room(run))
            return DRAINED_NOT;
        n = read(*fd, piece, sizeof piece);
        if (n > 0)
            take(run, piece, (size_t)n);
        else if (n == 0 || (errno != EINTR && errno != EAGAIN))
            child_close(fd);
        else if (errno == EAGAIN)
            return DRAINED_EMPTY;
    }
    return *fd >= 0 ? DRAINED_NOT : DRAINED_CLOSED;
}

static void look_at_task(struct exec_run *run)
{
    uint64_t count;

    /* Only resets it; what has happened is asked of the task. */
    (void)!read(run->wake_fd, &count, sizeof count);
    if (task_cancelled(&run->request->task))
        end_group(run, -ECANCELED);
}

/* After the leader's end: takes what is left in the pipes, and ends a group that keeps them open. */
static void take_rest(struct exec_run *run)
{
    enum drained out = drain(run, &run->child.out, take_output);
    enum drained err = drain(run, &run->child.err, exec_log_add);

    if (out == DRAINED_EMPTY || err == DRAINED_EMPTY)
        end_group(run, 0);
    /* Who still writes has left the group, and is not listened to for ever. */
    if (run->killed && (out != DRAINED_NOT || run->n_late > MOST_LATE || run->result))
        run->over = true;
    if (run->child.out < 0 && run->child.err < 0)
        run->over = true;
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
    bool room = output_has_room(run);
    struct pollfd fds[] = {
        {.fd = run->wake_fd, .events = POLLIN},
        {.fd = run->starved ? -1 : run->child.in, .events = POLLOUT},
        {.fd = room ? run->child.out : -1, .events = POLLIN},
        {.fd = run->child.err, .events = POLLIN},
        {.fd = run->exited ? -1 : run->child.pidfd, .events = POLLIN},
    };

    if (poll(fds, sizeof fds / sizeof *fds, milliseconds_left(run)) < 0)
        return;
    if (fds[0].revents)
        look_at_task(run);
    if (fds[1].revents || fds[0].revents)
        feed(run);
    if (fds[2].revents)
        drain(run, &run->child.out, take_output);
    if (fds[3].revents)
        drain(run, &run->child.err, exec_log_add);
    if (fds[4].revents) {
        run->exited = true;
        child_close(&run->child.in);
    }
    if (milliseconds_left(run) == 0)
        kill_now(run);
    if (run->exited)
        take_rest(run);
}

void exec_pump(struct exec_run *run)
{
    feed(run);
    while (!run->over)
        wait_once(run);
    run->status = child_reap(&run->child, &run->cpu_ns);
    exec_log_end(run);
}
