/* Loads any text as a configuration, with the daemon's own actions.  What is refused must say why
 * and where.  What is taken must, written out as `-T` does it, be taken again and mean the same.
 *
 * An input is the text of the file "main".  A line "=== NAME" begins another file, which can be
 * included; a line "-o KEY=VALUE" is an override. */
#include "action.h"
#include "conf.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For a build with the leak sanitizer.  libconfig forgets a string if a syntax error follows it. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:^strbuf_append$\nleak:^libconfig_yylex$\n";
}

enum { MAX_OVERRIDES = 16, MAX_FILES = 4 };

#define MUST(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static char directory[PATH_MAX];
static char dumped[PATH_MAX + 16];
static struct strbuf last_dump;

static void broken(const char *condition, int line) __attribute__((noreturn));

static void broken(const char *condition, int line)
{
    fprintf(stderr, "fuzz_conf.c:%d: does not hold: %s\ndump:\n%s", line, condition,
            strbuf_cstr(&last_dump));
    abort();
}

struct input {
    char paths[MAX_FILES][PATH_MAX + 16];
    size_t n_files;
    char *overrides[MAX_OVERRIDES];
    size_t n_overrides;
};

static void remove_directory(void)
{
    unlink(dumped);
    rmdir(directory);
    strbuf_free(&last_dump);
}

static void make_directory(void)
{
    const char *tmp = getenv("TMPDIR");

    if (*directory)
        return;
    snprintf(directory, sizeof directory, "%s/fuzz-conf-XXXXXX", tmp ? tmp : "/tmp");
    MUST(mkdtemp(directory));
    snprintf(dumped, sizeof dumped, "%s/dumped", directory);
    atexit(remove_directory);
}

static void write_file(const char *path, const void *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    close(fd);
}

/* Ends the file that `text` has been gathered for. */
static void end_file(struct input *input, const char *name, size_t name_len, struct strbuf *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    char *path = input->paths[input->n_files];

    if (input->n_files < MAX_FILES && name_len && name_len <= 8) {
        char plain[9] = "";

        memcpy(plain, name, name_len);
        if (strspn(plain, letters) == name_len && strcmp(plain, "dumped") != 0) {
            snprintf(path, sizeof *input->paths, "%s/%s", directory, plain);
            write_file(path, strbuf_cstr(text), text->len);
            input->n_files++;
        }
    }
    strbuf_free(text);
}

static void take_apart(struct input *input, const char *data, size_t size)
{
    const char *name = "main";
    size_t name_len = strlen(name);
    struct strbuf text = {0};

    for (size_t at = 0; at < size;) {
        const char *line = data + at, *newline = memchr(line, '\n', size - at);
        size_t len = newline ? (size_t)(newline - line) : size - at;
        const char *equals = memchr(line, '=', len);

        if (len > 4 && !memcmp(line, "=== ", 4)) {
            end_file(input, name, name_len, &text);
            name = line + 4;
            name_len = len - 4;
        } else if (len > 4 && !memcmp(line, "-o ", 3) && equals && equals > line + 3 &&
                   input->n_overrides < MAX_OVERRIDES) {
            /* The command line refuses what has no KEY, and has no NULs. */
            input->overrides[input->n_overrides++] = strndup(line + 3, len - 3);
        } else {
            strbuf_add(&text, line, len + (newline != NULL));
        }
        at += len + 1;
    }
    end_file(input, name, name_len, &text);
}

static void check_faults(const struct conf_faults *faults)
{
    MUST(faults->count && !faults->out_of_memory);
    for (size_t i = 0; i < faults->count; i++) {
        MUST(faults->items[i].text && *faults->items[i].text);
        MUST(faults->items[i].where && *faults->items[i].where);
    }
}

static void check_dump(const struct conf *conf)
{
    const struct conf_source source = {
        .path = dumped, .find_action = registry_find, .action_at = registry_at};
    struct conf_faults faults = {0};
    struct strbuf dump = {0}, again = {0}, restart = {0};
    struct conf *reread;

    conf_dump(conf, &dump);
    strbuf_free(&last_dump);
    strbuf_add(&last_dump, strbuf_cstr(&dump), dump.len);
    write_file(dumped, strbuf_cstr(&dump), dump.len);
    reread = conf_load(&source, &faults);
    if (!reread)
        for (size_t i = 0; i < faults.count; i++)
            fprintf(stderr, "%s: %s\n", faults.items[i].where, faults.items[i].text);
    MUST(reread);
    conf_dump(reread, &again);
    MUST(!strcmp(strbuf_cstr(&dump), strbuf_cstr(&again)));
    conf_restart_diff(conf, reread, &restart);
    MUST(!restart.len);
    conf_free(reread);
    conf_faults_clear(&faults);
    strbuf_free(&dump);
    strbuf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {0};
    struct conf_source source = {.find_action = registry_find, .action_at = registry_at};
    struct conf_faults faults = {0};
    char path[PATH_MAX + 16];
    struct conf *conf;

    make_directory();
    take_apart(&input, (const char *)data, size);
    snprintf(path, sizeof path, "%s/main", directory);
    source.path = path;
    source.overrides = (const char *const *)input.overrides;
    source.n_overrides = input.n_overrides;
    conf = conf_load(&source, &faults);
    if (conf) {
        MUST(!faults.count);
        check_dump(conf);
    } else {
        check_faults(&faults);
    }
    conf_free(conf);
    conf_faults_clear(&faults);
    for (size_t i = 0; i < input.n_files; i++)
        unlink(input.paths[i]);
    for (size_t i = 0; i < input.n_overrides; i++)
        free(input.overrides[i]);
    return 0;
}
