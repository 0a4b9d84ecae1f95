/* DESIGN
 *
 * The functions that stand in front of the C library's.  What the library does inside of a function is
 * not seen: strdup's malloc is, as calls of malloc go through the dynamic linker, but fopen's open is
 * not.  So fopen has a place of its own. */
#include "plan.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- functions that set errno ---------------------------------------------------------------- */

#define REAL(name)                 \
    static __typeof__(&name) real; \
    if (!real)                     \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define FAIL(name, fd, path, size)                                  \
    do {                                                            \
        int failed = plan_judge(CALL_##name, fd, path, size).error; \
        if (failed) {                                               \
            errno = failed;                                         \
            return -1;                                              \
        }                                                           \
    } while (0)

#define REPLACE(type, name, parameters, arguments, fd, path, size) \
    type name parameters                                           \
    {                                                              \
        REAL(name);                                                \
        FAIL(name, fd, path, size);                                \
        return real arguments;                                     \
    }

REPLACE(int, eventfd, (unsigned count, int flags), (count, flags), -1, NULL, NULL)
REPLACE(int, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags), -1, NULL, NULL)
REPLACE(int, timerfd_create, (int clock, int flags), (clock, flags), -1, NULL, NULL)
REPLACE(int, timerfd_settime,
        (int fd, int flags, const struct itimerspec *new, struct itimerspec *old),
        (fd, flags, new, old), fd, NULL, NULL)
REPLACE(int, epoll_create1, (int flags), (flags), -1, NULL, NULL)
int epoll_create(int size)
{
    REAL(epoll_create);
    FAIL(epoll_create1, -1, NULL, NULL); /* libevent takes the one for the other */
    return real(size);
}

REPLACE(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event),
        (epfd, op, fd, event), fd, NULL, NULL)
REPLACE(int, epoll_wait, (int epfd, struct epoll_event *events, int max, int timeout),
        (epfd, events, max, timeout), epfd, NULL, NULL)
REPLACE(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1, NULL, NULL)
REPLACE(int, bind, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len), fd,
        NULL, NULL)
REPLACE(int, listen, (int fd, int backlog), (fd, backlog), fd, NULL, NULL)
REPLACE(int, accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags),
        (fd, address, len, flags), fd, NULL, NULL)
REPLACE(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t len),
        (fd, level, option, value, len), fd, NULL, NULL)
REPLACE(int, getsockname, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len),
        fd, NULL, NULL)
REPLACE(ssize_t, read, (int fd, void *to, size_t size), (fd, to, size), fd, NULL, &size)
REPLACE(ssize_t, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at), fd, NULL,
        &size)
REPLACE(ssize_t, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags), fd, NULL,
        &size)
REPLACE(ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size), fd, NULL, &size)
REPLACE(ssize_t, send, (int fd, const void *from, size_t size, int flags), (fd, from, size, flags),
        fd, NULL, &size)
REPLACE(ssize_t, sendfile, (int to, int from, off_t *at, size_t size), (to, from, at, size), to,
        NULL, &size)
REPLACE(int, fstat, (int fd, struct stat *out), (fd, out), fd, NULL, NULL)
REPLACE(int, fstatat, (int dir, const char *path, struct stat *out, int flags),
        (dir, path, out, flags), -1, path, NULL)
REPLACE(int, fchmod, (int fd, mode_t mode), (fd, mode), fd, NULL, NULL)
REPLACE(int, fsync, (int fd), (fd), fd, NULL, NULL)
REPLACE(int, renameat2,
        (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
        (from_dir, from, to_dir, to, flags), -1, to, NULL)
REPLACE(int, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags),
        (from_dir, from, to_dir, to, flags), -1, to, NULL)
REPLACE(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), -1, path, NULL)
REPLACE(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), -1, path, NULL)
REPLACE(int, pipe2, (int ends[2], int flags), (ends, flags), -1, NULL, NULL)
REPLACE(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage),
        (pid, status, options, usage), -1, NULL, NULL)
REPLACE(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout), -1, NULL, NULL)
REPLACE(int, ppoll,
        (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
        (fds, n, timeout, mask), -1, NULL, NULL)
REPLACE(ssize_t, getrandom, (void *to, size_t size, unsigned flags), (to, size, flags), -1, NULL,
        &size)

/* What _FORTIFY_SOURCE makes of some of these; that it checks sizes is not the matter here. */
ssize_t __read_chk(int fd, void *to, size_t size, size_t room);
ssize_t __read_chk(int fd, void *to, size_t size, size_t room)
{
    (void)room;
    return read(fd, to, size);
}

ssize_t __pread_chk(int fd, void *to, size_t size, off_t at, size_t room);
ssize_t __pread_chk(int fd, void *to, size_t size, off_t at, size_t room)
{
    (void)room;
    return pread(fd, to, size, at);
}

ssize_t __recv_chk(int fd, void *to, size_t size, size_t room, int flags);
ssize_t __recv_chk(int fd, void *to, size_t size, size_t room, int flags)
{
    (void)room;
    return recv(fd, to, size, flags);
}

int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
    (void)room;
    return poll(fds, n, timeout);
}

/* With vectors only the first bytes are sent or read when they are to be few. */
static ssize_t cut_vector(struct iovec *to, const struct iovec *from, size_t n, size_t size)
{
    size_t used = 0;

    while (used < n && size) {
        to[used] = from[used];
        if (to[used].iov_len > size)
            to[used].iov_len = size;
        size -= to[used++].iov_len;
    }
    return (ssize_t)used;
}

static size_t vector_size(const struct iovec *vector, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += vector[i].iov_len;
    return size;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr cut = *message;
    struct iovec vector[64];
    size_t size = vector_size(message->msg_iov, message->msg_iovlen), most = size;
    REAL(sendmsg);

    FAIL(sendmsg, fd, NULL, &most);
    if (most < size && message->msg_iovlen <= 64) {
        cut.msg_iovlen = (size_t)cut_vector(vector, message->msg_iov, message->msg_iovlen, most);
        cut.msg_iov = vector;
    }
    return real(fd, &cut, flags);
}

#define REPLACE_VECTOR(name)                                      \
    ssize_t name(int fd, const struct iovec *given, int n)        \
    {                                                             \
        struct iovec vector[64];                                  \
        size_t size = vector_size(given, (size_t)n), most = size; \
        REAL(name);                                               \
        FAIL(name, fd, NULL, &most);                              \
        if (most < size && n <= 64) {                             \
            n = (int)cut_vector(vector, given, (size_t)n, most);  \
            given = vector;                                       \
        }                                                         \
        return real(fd, given, n);                                \
    }

REPLACE_VECTOR(readv)
REPLACE_VECTOR(writev)

/* ---- functions with arguments that vary ------------------------------------------------------ */

#define TAKE_MODE(flags)                     \
    mode_t mode = 0;                         \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list ap;                          \
        va_start(ap, flags);                 \
        mode = va_arg(ap, mode_t);           \
        va_end(ap);                          \
    }

int open(const char *path, int flags, ...)
{
    TAKE_MODE(flags);
    REAL(open);
    FAIL(open, -1, path, NULL);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    TAKE_MODE(flags);
    REAL(open64);
    FAIL(open, -1, path, NULL);
    return real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    TAKE_MODE(flags);
    REAL(openat);
    FAIL(openat, -1, path, NULL);
    return real(dir, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
    va_list ap;
    void *argument;
    REAL(fcntl);

    va_start(ap, command);
    argument = va_arg(ap, void *);
    va_end(ap);
    FAIL(fcntl, fd, NULL, NULL);
    return real(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    va_list ap;
    void *argument;
    REAL(fcntl64);

    va_start(ap, command);
    argument = va_arg(ap, void *);
    va_end(ap);
    FAIL(fcntl, fd, NULL, NULL);
    return real(fd, command, argument);
}

long syscall(long number, ...)
{
    static __typeof__(&syscall) real;
    long a[6];
    va_list ap;
    int failed = 0;

    if (!real)
        real = (__typeof__(&syscall))dlsym(RTLD_NEXT, "syscall");
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_openat2)
        failed = plan_judge(CALL_openat2, -1, (const char *)a[1], NULL).error;
    else if (number == SYS_execve)
        failed = plan_judge(CALL_execve, -1, (const char *)a[0], NULL).error;
    if (failed) {
        errno = failed;
        return -1;
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- functions that tell by what they return ------------------------------------------------- */

#define REPLACE_RETURNING(type, name, parameters, arguments, path)  \
    type name parameters                                            \
    {                                                               \
        REAL(name);                                                 \
        int failed = plan_judge(CALL_##name, -1, path, NULL).error; \
        return failed ? failed : real arguments;                    \
    }

REPLACE_RETURNING(int, pthread_create,
                  (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *arg),
                  (thread, attributes, start, arg), NULL)
/* What child_launch.c starts programs with. */
int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
    void *parent, *tls, *child;
    va_list ap;
    REAL(__clone);

    va_start(ap, arg);
    parent = va_arg(ap, void *);
    tls = va_arg(ap, void *);
    child = va_arg(ap, void *);
    va_end(ap);
    FAIL(clone, -1, NULL, NULL);
    return real(run, stack, flags, arg, parent, tls, child);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    REAL(getaddrinfo);
    int failed = plan_judge(CALL_getaddrinfo, -1, name, NULL).error;

    if (failed == EAI_SYSTEM)
        errno = EIO;
    return failed ? failed : real(name, service, hints, out);
}

#define REPLACE_POINTER(type, name, parameters, arguments, fd, path) \
    type name parameters                                             \
    {                                                                \
        REAL(name);                                                  \
        int failed = plan_judge(CALL_##name, fd, path, NULL).error;  \
        if (failed)                                                  \
            errno = failed;                                          \
        return failed ? NULL : real arguments;                       \
    }

REPLACE_POINTER(FILE *, fopen, (const char *path, const char *mode), (path, mode), -1, path)
REPLACE_POINTER(DIR *, opendir, (const char *path), (path), -1, path)
REPLACE_POINTER(DIR *, fdopendir, (int fd), (fd), fd, NULL)
REPLACE_POINTER(struct dirent *, readdir, (DIR * dir), (dir), dirfd(dir), NULL)

/* ---- clocks ---------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *out)
{
    REAL(clock_gettime);
    int r = real(clock, out);

    if (!r && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += plan_judge(CALL_clock, -1, NULL, NULL).shift_s;
    return r;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* ---- the heap -------------------------------------------------------------------------------- */

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static int (*real_posix_memalign)(void **, size_t, size_t);
static void *(*real_aligned_alloc)(size_t, size_t);
static void (*real_free)(void *);

/* For what dlsym(3) itself allocates before its answer is there. */
static char early[4096] __attribute__((aligned(16)));
static size_t early_used;
static bool finding;

static void find_heap(void)
{
    finding = true;
    real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    real_posix_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    real_aligned_alloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    finding = false;
}

static void *allocate_early(size_t size)
{
    size_t at = early_used;

    size = (size + 15) & ~(size_t)15;
    if (size > sizeof early - at)
        return NULL;
    early_used += size;
    return early + at;
}

static bool is_early(const void *block)
{
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

static void *counted(void *block)
{
    if (block)
        plan_count_blocks(1);
    return block;
}

static bool refuses(enum call call)
{
    int failed = plan_judge(call, -1, NULL, NULL).error;

    if (failed)
        errno = ENOMEM;
    return failed;
}

void *malloc(size_t size)
{
    if (!real_malloc) {
        if (finding)
            return allocate_early(size);
        find_heap();
    }
    return refuses(CALL_malloc) ? NULL : counted(real_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    if (!real_calloc) {
        if (finding)
            return allocate_early(n * size);
        find_heap();
    }
    return refuses(CALL_calloc) ? NULL : counted(real_calloc(n, size));
}

void *realloc(void *block, size_t size)
{
    void *new;

    if (!real_realloc)
        find_heap();
    if (refuses(CALL_realloc))
        return NULL;
    if (is_early(block)) {
        new = malloc(size);
        return new ? memcpy(new, block, size) : NULL;
    }
    new = real_realloc(block, size);
    return block ? new : counted(new);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    int r;

    if (!real_posix_memalign)
        find_heap();
    if (refuses(CALL_posix_memalign))
        return ENOMEM;
    r = real_posix_memalign(out, alignment, size);
    if (!r)
        counted(*out);
    return r;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    if (!real_aligned_alloc)
        find_heap();
    return refuses(CALL_aligned_alloc) ? NULL : counted(real_aligned_alloc(alignment, size));
}

void free(void *block)
{
    if (!block || is_early(block))
        return;
    if (!real_free)
        find_heap();
    plan_count_blocks(-1);
    real_free(block);
}
