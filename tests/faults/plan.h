/* plan.h - which calls are to fail.  Any thread. */
#ifndef HANDOFFD_FAULTS_PLAN_H
#define HANDOFFD_FAULTS_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define CALLS(X)       \
    X(malloc)          \
    X(calloc)          \
    X(realloc)         \
    X(posix_memalign)  \
    X(aligned_alloc)   \
    X(pthread_create)  \
    X(eventfd)         \
    X(signalfd)        \
    X(timerfd_create)  \
    X(timerfd_settime) \
    X(epoll_create1)   \
    X(epoll_ctl)       \
    X(epoll_wait)      \
    X(socket)          \
    X(bind)            \
    X(listen)          \
    X(accept4)         \
    X(setsockopt)      \
    X(getsockname)     \
    X(fcntl)           \
    X(open)            \
    X(openat)          \
    X(openat2)         \
    X(fopen)           \
    X(opendir)         \
    X(fdopendir)       \
    X(readdir)         \
    X(read)            \
    X(pread)           \
    X(readv)           \
    X(recv)            \
    X(write)           \
    X(writev)          \
    X(send)            \
    X(sendmsg)         \
    X(sendfile)        \
    X(fstat)           \
    X(fstatat)         \
    X(fchmod)          \
    X(fsync)           \
    X(renameat2)       \
    X(linkat)          \
    X(unlinkat)        \
    X(mkdirat)         \
    X(pipe2)           \
    X(clone)           \
    X(execve)          \
    X(wait4)           \
    X(poll)            \
    X(ppoll)           \
    X(getaddrinfo)     \
    X(getrandom)       \
    X(clock)

#define ENUMERATED(name) CALL_##name,
enum call { CALLS(ENUMERATED) CALL_COUNT };

struct verdict {
    int error;       /* the call fails with this; 0: it does not */
    int64_t shift_s; /* the time of day is off by so much */
};

/* What the plan says about this call; `fd` -1 and `path` NULL where there is none.  `size`: what a read or
 * write is asked for, to be cut. */
struct verdict plan_judge(enum call call, int fd, const char *path, size_t *size);

/* One block of the heap more, or one less. */
void plan_count_blocks(int change);

#endif
