#include "action_exec.h"

#include "clock.h"
#include "log.h"

#include <stdatomic.h>
#include <string.h>

/* What one run may log, and all runs together within a second. */
enum { LINES_PER_RUN = 100, LINES_PER_SECOND = 500 };

/* Whether the lines of this second have been used up. */
static bool second_is_full(void)
{
    static _Atomic int64_t second;
    static _Atomic unsigned count;
    int64_t now = clock_now_ns() / NS_PER_SEC;

    if (atomic_exchange(&second, now) != now)
        atomic_store(&count, 0);
    return atomic_fetch_add(&count, 1) >= LINES_PER_SECOND;
}

static void log_line(struct exec_run *run)
{
    struct exec_log *log = &run->log;
    const struct request *request = run->request;
    size_t len = log->len;

    log->len = 0;
    if (len && log->line[len - 1] == '\r')
        len--;
    if (!len && !log->overlong)
        return;
    if (log->lines == LINES_PER_RUN || second_is_full()) {
        log->suppressed++;
        return;
    }
    log->lines++;
    log_warning("request %s: route %s: stderr: %.*s", request->id, request->route->path, (int)len,
                log->line);
}

void exec_log_add(struct exec_run *run, const char *data, size_t len)
{
    struct exec_log *log = &run->log;

    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        size_t room = sizeof log->line - log->len;
        size_t fits = n < room ? n : room;

        memcpy(log->line + log->len, data, fits);
        log->len += fits;
        data += fits;
        len -= fits;
        /* A long line goes on in the next message. */
        log->overlong = fits < n;
        if (end && fits == n) {
            data++;
            len--;
        }
        if (end || log->len == sizeof log->line)
            log_line(run);
    }
}

void exec_log_end(struct exec_run *run)
{
    struct exec_log *log = &run->log;

    if (log->len)
        log_line(run);
    if (log->suppressed)
        log_warning("request %s: route %s: stderr: %u more lines not shown", run->request->id,
                    run->request->route->path, log->suppressed);
}
