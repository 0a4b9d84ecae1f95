#include "process_stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int read_small_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    int r;

    if (fd < 0)
        return -errno;
    n = read(fd, text, size - 1);
    r = n < 0 ? -errno : 0;
    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return r;
}

/* Since Linux 6.2 the directory's size is the number of its entries. */
static uint64_t count_fds(void)
{
    struct stat st;
    uint64_t count = 0;
    DIR *dir;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    /* Not "." and "..", and not the descriptor of the directory. */
    return count > 3 ? count - 3 : 0;
}

/* Seconds since 1970 at which the machine started; both clocks stand still together when it sleeps. */
static double boot_time(void)
{
    struct timespec now, up;

    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
}

int process_stats_read(struct process_stats *out)
{
    unsigned long long utime, stime, threads, start, virtual;
    long long resident;
    char text[1024], *fields;
    struct rlimit limit = {0};
    double ticks = (double)sysconf(_SC_CLK_TCK);
    int r = read_small_file("/proc/self/stat", text, sizeof text);

    if (r)
        return r;
    /* The second field is the program's name in parentheses, which may hold anything. */
    fields = strrchr(text, ')');
    if (!fields || sscanf(fields,
                          ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
                          "%*d %llu %*d %llu %llu %lld",
                          &utime, &stime, &threads, &start, &virtual, &resident) != 6)
        return -EPROTO;
    getrlimit(RLIMIT_NOFILE, &limit);
    *out = (struct process_stats){
        .cpu_seconds = (double)(utime + stime) / ticks,
        .start_time = boot_time() + (double)start / ticks,
        .virtual_bytes = virtual,
        .resident_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE),
        .threads = threads,
        .open_fds = count_fds(),
        .max_fds = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur,
    };
    return 0;
}
