/* DESIGN
 *
 * Preloaded into the daemon (LD_PRELOAD), calls.c stands in front of the C library's functions and makes
 * calls fail as a plan says.  The plan is text in a file that is mapped by both sides, FAULTS_FILE; the
 * test changes it while the daemon runs, and finds there what has been seen and done.  The language is
 * told in faults.py, which writes it.
 *
 * Every call that a rule names takes one spin lock while the rules are looked through; any other looks
 * at two words.  A generation that is odd means that the plan is being written; it is read by the first
 * call that sees a new one. */
#include "plan.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMED(name) #name,
static const char *const call_names[] = {CALLS(NAMED)};
_Static_assert(CALL_COUNT <= 64, "a rule's calls are a mask");

#define BIT(call) (UINT64_C(1) << (call))
#define ALLOCATIONS                                                                       \
    (BIT(CALL_malloc) | BIT(CALL_calloc) | BIT(CALL_realloc) | BIT(CALL_posix_memalign) | \
     BIT(CALL_aligned_alloc))

struct named {
    const char *name;
    int value;
};
#define ERROR(name) \
    {               \
#name, name \
    }
static const struct named errors[] = {
    ERROR(E2BIG),        ERROR(EACCES),     ERROR(EADDRINUSE), ERROR(EADDRNOTAVAIL),
    ERROR(EAGAIN),       ERROR(EBADF),      ERROR(EBUSY),      ERROR(ECHILD),
    ERROR(ECONNABORTED), ERROR(ECONNRESET), ERROR(EDQUOT),     ERROR(EEXIST),
    ERROR(EFBIG),        ERROR(EINTR),      ERROR(EINVAL),     ERROR(EIO),
    ERROR(EISDIR),       ERROR(ELOOP),      ERROR(EMFILE),     ERROR(ENAMETOOLONG),
    ERROR(ENETDOWN),     ERROR(ENFILE),     ERROR(ENOBUFS),    ERROR(ENODEV),
    ERROR(ENOENT),       ERROR(ENOEXEC),    ERROR(ENOMEM),     ERROR(ENOSPC),
    ERROR(ENOSYS),       ERROR(ENOTCONN),   ERROR(ENOTDIR),    ERROR(ENOTSUP),
    ERROR(EOVERFLOW),    ERROR(EPERM),      ERROR(EPIPE),      ERROR(EPROTO),
    ERROR(EROFS),        ERROR(ETIMEDOUT),  ERROR(ETXTBSY),    ERROR(EXDEV),
    ERROR(ESTALE),       ERROR(EAI_AGAIN),  ERROR(EAI_FAIL),   ERROR(EAI_FAMILY),
    ERROR(EAI_MEMORY),   ERROR(EAI_NODATA), ERROR(EAI_NONAME), ERROR(EAI_SERVICE),
    ERROR(EAI_SYSTEM),
};

/* ---- what both sides see --------------------------------------------------------------------- */

enum { MAX_RULES = 8, MAX_FRAMES = 30, MAX_SITES = 8192, PLAN_SIZE = 2048, FILTER_SIZE = 96 };

struct shared {
    _Atomic uint32_t generation; /* odd: the plan is being written */
    _Atomic uint32_t taken;      /* the generation that the counts belong to */
    _Atomic uint64_t seen[MAX_RULES];
    _Atomic uint64_t done[MAX_RULES];
    _Atomic int64_t blocks; /* of the heap, allocated and not freed */
    _Atomic uint32_t n_frames;
    _Atomic uint32_t unused;
    uint64_t frames[MAX_FRAMES]; /* who made the last call that failed */
    char last[32];               /* that call */
    char fault[128];             /* what is wrong with the plan */
    char plan[PLAN_SIZE];
};

enum kind { ANY, FILE_KIND, SOCKET, PIPE, ANONYMOUS };

struct rule {
    uint64_t calls;
    uint64_t nth, from, times; /* 0: not given */
    int error;
    size_t most;   /* bytes at once; 0: not given */
    bool half;     /* of what is asked for, rounded up */
    bool distinct; /* counts a call only if none was made from the same place before */
    int64_t shift_s;
    enum kind kind;
    int fd;                    /* -1: any */
    char path[FILTER_SIZE];    /* part of the file's name */
    char thread[16];           /* begin of the thread's name */
    char without[FILTER_SIZE]; /* no caller in these libraries or functions */
};

static struct shared *shared;
static struct rule rules[MAX_RULES];
static unsigned n_rules;
static _Atomic uint64_t named_calls;  /* by any rule */
static _Atomic bool looks_at_callers; /* any rule, before it decides */
static _Atomic uint32_t generation;
static uint32_t sites[MAX_SITES]; /* hashes; 0: free */
static atomic_flag lock = ATOMIC_FLAG_INIT;
static __thread int inside __attribute__((tls_model("initial-exec")));

/* ---- the plan -------------------------------------------------------------------------------- */

static char *next_word(char **text, const char *separators)
{
    char *word = *text + strspn(*text, separators), *end = word + strcspn(word, separators);

    if (!*word)
        return NULL;
    *text = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool find_call(const char *name, uint64_t *calls)
{
    if (!strcmp(name, "alloc")) {
        *calls |= ALLOCATIONS;
        return true;
    }
    for (int i = 0; i < CALL_COUNT; i++)
        if (!strcmp(call_names[i], name)) {
            *calls |= BIT(i);
            return true;
        }
    return false;
}

static bool find_error(const char *name, int *error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(errors[i].name, name)) {
            *error = errors[i].value;
            return true;
        }
    return false;
}

static bool find_kind(const char *name, struct rule *rule)
{
    static const struct named kinds[] = {
        {"file", FILE_KIND}, {"socket", SOCKET}, {"pipe", PIPE}, {"anonymous", ANONYMOUS}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) {
            rule->kind = (enum kind)kinds[i].value;
            return true;
        }
    rule->fd = (int)strtol(name, NULL, 10);
    return *name >= '0' && *name <= '9';
}

static bool copy_filter(char *to, size_t size, const char *value)
{
    if (!*value || strlen(value) >= size)
        return false;
    strcpy(to, value);
    return true;
}

static bool read_option(struct rule *rule, char *word)
{
    char *value = strchr(word, '=');

    if (!value)
        return !strcmp(word, "distinct") && (rule->distinct = true);
    *value++ = '\0';
    if (!strcmp(word, "errno"))
        return find_error(value, &rule->error);
    if (!strcmp(word, "fd"))
        return find_kind(value, rule);
    if (!strcmp(word, "path"))
        return copy_filter(rule->path, sizeof rule->path, value);
    if (!strcmp(word, "thread"))
        return copy_filter(rule->thread, sizeof rule->thread, value);
    if (!strcmp(word, "without"))
        return copy_filter(rule->without, sizeof rule->without, value);
    if (!strcmp(word, "short") && !strcmp(value, "half"))
        return rule->half = true;
    if (!strcmp(word, "shift"))
        return (rule->shift_s = strtoll(value, NULL, 10)) != 0;
    if (!strcmp(word, "short"))
        return (rule->most = strtoul(value, NULL, 10)) > 0;
    if (!strcmp(word, "nth"))
        return (rule->nth = strtoul(value, NULL, 10)) > 0;
    if (!strcmp(word, "from"))
        return (rule->from = strtoul(value, NULL, 10)) > 0;
    if (!strcmp(word, "times"))
        return (rule->times = strtoul(value, NULL, 10)) > 0;
    return false;
}

static bool read_rule(struct rule *rule, char *line)
{
    char *calls = next_word(&line, " "), *word;

    *rule = (struct rule){.fd = -1};
    while (calls && (word = next_word(&calls, ",")))
        if (!find_call(word, &rule->calls))
            return false;
    while ((word = next_word(&line, " ")))
        if (!read_option(rule, word))
            return false;
    return rule->calls && (rule->error || rule->most || rule->half || rule->shift_s);
}

/* Under the lock.  A plan that makes no sense is no plan, and the test is told. */
static void take_plan(uint32_t wanted)
{
    char text[PLAN_SIZE], *rest = text, *line;
    uint64_t named = 0;
    bool looks = false;

    memcpy(text, shared->plan, sizeof text);
    text[sizeof text - 1] = '\0';
    if (atomic_load(&shared->generation) != wanted)
        return; /* changed meanwhile: the next call looks again */
    n_rules = 0;
    *shared->fault = '\0';
    while (n_rules < MAX_RULES && (line = next_word(&rest, "\n"))) {
        if (!read_rule(&rules[n_rules], line)) {
            snprintf(shared->fault, sizeof shared->fault, "rule %u makes no sense", n_rules + 1);
            n_rules = 0;
            break;
        }
        looks = looks || rules[n_rules].distinct || *rules[n_rules].without;
        named |= rules[n_rules++].calls;
    }
    memset(sites, 0, sizeof sites);
    for (unsigned i = 0; i < MAX_RULES; i++) {
        atomic_store(&shared->seen[i], 0);
        atomic_store(&shared->done[i], 0);
    }
    atomic_store(&looks_at_callers, looks);
    atomic_store(&named_calls, *shared->fault ? 0 : named);
    atomic_store(&generation, wanted);
    atomic_store(&shared->taken, wanted);
}

/* ---- matching -------------------------------------------------------------------------------- */

static enum kind kind_of(int fd)
{
    struct stat st;

    if (syscall(SYS_fstat, fd, &st) < 0)
        return ANY;
    if (S_ISSOCK(st.st_mode))
        return SOCKET;
    if (S_ISFIFO(st.st_mode))
        return PIPE;
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISCHR(st.st_mode) ? FILE_KIND
                                                                             : ANONYMOUS;
}

static bool path_matches(const struct rule *rule, int fd, const char *path)
{
    char link[64], target[512];
    long len;

    if (path && strstr(path, rule->path))
        return true;
    if (fd < 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = syscall(SYS_readlink, link, target, sizeof target - 1);
    target[len > 0 ? len : 0] = '\0';
    return strstr(target, rule->path) != NULL;
}

static bool thread_matches(const struct rule *rule)
{
    char name[17] = "";

    prctl(PR_GET_NAME, name);
    return !strncmp(name, rule->thread, strlen(rule->thread));
}

/* Who called, from the caller of the call that fails on. */
struct stack {
    void *frames[MAX_FRAMES];
    int n;
};

static uint32_t hash_of(const struct stack *stack)
{
    uint64_t hash = 1469598103934665603u;

    for (int i = 0; i < stack->n; i++)
        hash = (hash ^ (uintptr_t)stack->frames[i]) * 1099511628211u;
    return (uint32_t)(hash >> 32) | 1;
}

/* True: nobody has called from there before. */
static bool is_new_site(const struct stack *stack)
{
    uint32_t hash = hash_of(stack), i = hash % MAX_SITES;

    while (sites[i] && sites[i] != hash)
        i = (i + 1) % MAX_SITES;
    if (sites[i])
        return false;
    sites[i] = hash;
    return true;
}

static bool is_listed(const char *name, const char *list)
{
    size_t len;

    for (; *list; list += len + (list[len] == ',')) {
        len = strcspn(list, ",");
        if (name && memmem(name, strlen(name), list, len))
            return true;
    }
    return false;
}

static bool comes_from(const struct stack *stack, const char *list)
{
    Dl_info info;

    for (int i = 0; i < stack->n; i++)
        if (dladdr(stack->frames[i], &info) &&
            (is_listed(info.dli_fname, list) || is_listed(info.dli_sname, list)))
            return true;
    return false;
}

static bool matches(const struct rule *rule, enum call call, int fd, const char *path,
                    const struct stack *stack)
{
    return (rule->calls & BIT(call)) && (rule->fd < 0 || rule->fd == fd) &&
           (rule->kind == ANY || rule->kind == kind_of(fd)) &&
           (!*rule->path || path_matches(rule, fd, path)) &&
           (!*rule->thread || thread_matches(rule)) && (!rule->distinct || is_new_site(stack)) &&
           !(*rule->without && comes_from(stack, rule->without));
}

/* Whether it is this call's turn. */
static bool is_due(unsigned i)
{
    const struct rule *rule = &rules[i];
    uint64_t number = atomic_fetch_add(&shared->seen[i], 1) + 1;

    if ((rule->nth && number != rule->nth) || (rule->from && number < rule->from) ||
        (rule->times && atomic_load(&shared->done[i]) >= rule->times))
        return false;
    atomic_fetch_add(&shared->done[i], 1);
    return true;
}

static void note(enum call call, struct stack *stack)
{
    if (!stack->n && call != CALL_execve) /* a child, on a small stack */
        stack->n = backtrace(stack->frames, MAX_FRAMES);
    snprintf(shared->last, sizeof shared->last, "%s", call_names[call]);
    for (int i = 0; i < stack->n; i++)
        shared->frames[i] = (uintptr_t)stack->frames[i];
    atomic_store(&shared->n_frames, (uint32_t)stack->n);
}

struct verdict plan_judge(enum call call, int fd, const char *path, size_t *size)
{
    struct verdict verdict = {0};
    struct stack stack = {.n = 0};
    uint32_t now;

    if (!shared || inside)
        return verdict;
    now = atomic_load(&shared->generation);
    if (now & 1 || (now == atomic_load(&generation) && !(atomic_load(&named_calls) & BIT(call))))
        return verdict;
    inside = 1;
    if (now != atomic_load(&generation) || atomic_load(&looks_at_callers))
        stack.n = backtrace(stack.frames, MAX_FRAMES);
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        sched_yield();
    if (now != atomic_load(&generation))
        take_plan(now);
    for (unsigned i = 0; i < n_rules && !verdict.error && !verdict.shift_s; i++) {
        const struct rule *rule = &rules[i];

        if (!matches(rule, call, fd, path, &stack) || !is_due(i))
            continue;
        verdict = (struct verdict){rule->error, rule->shift_s};
        if (size && rule->half)
            *size = (*size + 1) / 2;
        if (size && rule->most && *size > rule->most)
            *size = rule->most;
    }
    atomic_flag_clear_explicit(&lock, memory_order_release);
    if (verdict.error)
        note(call, &stack);
    inside = 0;
    return verdict;
}

void plan_count_blocks(int change)
{
    if (shared)
        atomic_fetch_add_explicit(&shared->blocks, change, memory_order_relaxed);
}

/* ---------------------------------------------------------------------------------------------- */

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULTS_FILE");
    void *frames[4], *memory;
    int fd;

    inside = 1;
    (void)backtrace(frames, 4); /* the first time it loads a library */
    fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED)
            shared = memory;
        close(fd);
    }
    inside = 0;
}
