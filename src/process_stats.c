#include "process_stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int read_small_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;
    int r = 0;

    if (fd < 0)
        return -errno;
    do {
        n = read(fd, text + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        r = -errno;
    close(fd);
    text[len] = '\0';
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

/* Numbers of fields as proc_pid_stat(5) counts them. */
enum { UTIME = 14, STIME = 15, THREADS = 20, START = 22, VIRTUAL = 23, RESIDENT = 24, FIELDS = 25 };

/* The second field is the program's name in parentheses, which may hold anything; what follows are a
 * letter and numbers, of which none that is wanted here is negative. */
static int parse_stat(const char *text, unsigned long long fields[FIELDS])
{
    const char *at = strrchr(text, ')');

    for (int i = 3; at && i < FIELDS; i++) {
        at = strchr(at + 1, ' ');
        if (at)
            fields[i] = strtoull(at, NULL, 10);
    }
    return at ? 0 : -EPROTO;
}

int process_stats_read(struct process_stats *out)
{
    unsigned long long fields[FIELDS] = {0};
    char text[1024];
    struct rlimit limit = {0};
    double ticks = (double)sysconf(_SC_CLK_TCK);
    int r = read_small_file("/proc/self/stat", text, sizeof text);

    if (!r)
        r = parse_stat(text, fields);
    if (r)
        return r;
    getrlimit(RLIMIT_NOFILE, &limit);
    *out = (struct process_stats){
        .cpu_seconds = (double)(fields[UTIME] + fields[STIME]) / ticks,
        .start_time = boot_time() + (double)fields[START] / ticks,
        .virtual_bytes = fields[VIRTUAL],
        .resident_bytes = fields[RESIDENT] * (uint64_t)sysconf(_SC_PAGESIZE),
        .threads = fields[THREADS],
        .open_fds = count_fds(),
        .max_fds = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur,
    };
    return 0;
}
