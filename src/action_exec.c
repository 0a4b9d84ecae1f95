/* exec: runs a program for each request, never by way of a shell. */
#include "action_exec.h"

#include "clock.h"
#include "log.h"
#include "problem.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_MAX_OUTPUT = 16 << 20 };

#define DEFAULT_TYPE "text/plain; charset=utf-8"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const stdin_kinds[] = {"body", "none", NULL};
static const char *const stderr_kinds[] = {"log", "discard", "merge", NULL};
static const char *const signal_names[] = {"TERM", "INT",  "HUP",  "QUIT",
                                           "KILL", "USR1", "USR2", NULL};
static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGKILL, SIGUSR1, SIGUSR2};

static const struct option_row status_rows[] = {
    {"exit", OPTION_INT, offsetof(struct exec_status, exit), NULL, 0, 255, NULL, OPTION_REQUIRED,
     NULL, "The program's exit code."},
    {"status", OPTION_INT, offsetof(struct exec_status, status), NULL, 200, 599, NULL,
     OPTION_REQUIRED, NULL, "The status of the answer."},
    {0},
};

static const struct option_group status_group = {status_rows, sizeof(struct exec_status)};

#define AT(member) offsetof(struct exec_settings, member)

static const struct option_row options[] = {
    {"command", OPTION_STRINGS, AT(command), NULL, 0, 0, NULL, OPTION_REQUIRED | OPTION_TEMPLATE,
     NULL, "The program and its arguments."},
    {"cgi", OPTION_BOOL, AT(cgi), "false", 0, 0, NULL, 0, NULL,
     "The program speaks CGI/1.1 (RFC 3875)."},
    {"stdin", OPTION_ENUM, AT(in), "body", 0, 0, stdin_kinds, 0, NULL,
     "What the program reads: the request's body, or nothing."},
    {"env", OPTION_PAIRS, AT(env), NULL, 0, 0, NULL, OPTION_TEMPLATE | OPTION_SECRETS, NULL,
     "The program's environment, beside PATH."},
    {"cwd", OPTION_STRING, AT(cwd), NULL, 1, 0, NULL, OPTION_TEMPLATE, NULL,
     "The directory in which the program runs; else /, or with cgi the program's own."},
    {"kill_signal", OPTION_ENUM, AT(kill_signal), "TERM", 0, 0, signal_names, 0, NULL,
     "The signal that the program's process group gets when it is to end."},
    {"kill_grace", OPTION_DURATION, AT(kill_grace), "5s", 0, 3600 * NS_PER_SEC, NULL, 0, "seconds",
     "How long it may take to end before it is killed."},
    {"max_output", OPTION_SIZE, AT(max_output), NULL, 0, INT64_C(1) << 40, NULL, OPTION_INHERIT,
     "bytes", "The longest output: 502; 16m when it is not written, and none for a stream."},
    {"stream", OPTION_BOOL, AT(stream), "false", 0, 0, NULL, 0, NULL,
     "Sends what the program writes while it runs."},
    {"status_map", OPTION_GROUPS, AT(status_map), NULL, 0, 0, NULL, 0, NULL,
     "Which exit code makes which status.", &status_group},
    {"content_type", OPTION_STRING, AT(content_type), DEFAULT_TYPE, 1, 255, NULL, 0, NULL,
     "The Content-Type of the answer."},
    {"stderr", OPTION_ENUM, AT(err), "log", 0, 0, stderr_kinds, 0, NULL,
     "Where the program's standard error goes."},
    {0},
};

/* ---- at load --------------------------------------------------------------------------------- */

/* Looks a name without a slash up once and for all, where the program itself would look. */
static char *search(const char *name)
{
    const char *at = DEFAULT_PATH;

    while (*at) {
        size_t len = strcspn(at, ":");
        struct strbuf path = {0};

        strbuf_addf(&path, "%.*s/%s", (int)len, at, name);
        if (path.failed || access(strbuf_cstr(&path), X_OK) == 0)
            return strbuf_take(&path);
        strbuf_free(&path);
        at += len + (at[len] == ':');
    }
    return strdup("");
}

/* The program runs in a directory of its own, so its path must not depend on ours. */
static char *absolute(const struct conf *conf, const char *name)
{
    char *path = conf_resolve_path(conf, name), *here;
    struct strbuf whole = {0};

    if (!path || *path == '/')
        return path;
    here = get_current_dir_name();
    if (!here && errno == ENOMEM) {
        free(path);
        return NULL;
    }
    strbuf_addf(&whole, "%s/%s", here ? here : ".", path);
    free(here);
    free(path);
    return strbuf_take(&whole);
}

static int find_program(struct exec_settings *s, const struct conf_check *check)
{
    const char *name = template_constant(s->arguments.items[0]);

    if (!name || !*name) {
        if (s->arguments.items[0])
            conf_check_fault(check, "command",
                             "the program is \"%s\"; allowed: a fixed path or name, requests may "
                             "only have a say in its arguments",
                             s->command.items[0]);
        return 0;
    }
    s->program = strchr(name, '/') ? absolute(check->conf, name) : search(name);
    if (!s->program)
        return -ENOMEM;
    if (!*s->program) {
        conf_check_fault(check, "command",
                         "found no program \"%s\" in %s; allowed: one that is there, or a path",
                         name, DEFAULT_PATH);
        return 0;
    }
    s->program_directory = strndup(s->program, (size_t)(strrchr(s->program, '/') - s->program) + 1);
    return s->program_directory ? 0 : -ENOMEM;
}

static bool valid_variable(const char *name)
{
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == '=' || *p == 0x7f)
            return false;
    return *name;
}

static void check_env(const struct exec_settings *s, const struct conf_check *check)
{
    for (size_t i = 0; i < s->env.count; i++) {
        const char *name = s->env.items[i].name;

        if (!valid_variable(name))
            conf_check_fault(check, "env",
                             "\"%s\" is no name of a variable; allowed: no blanks and no =", name);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(name, s->env.items[k].name))
                conf_check_fault(check, "env", "\"%s\" is set twice", name);
    }
}

static void check_status_map(const struct exec_settings *s, const struct conf_check *check)
{
    for (size_t i = 0; i < s->status_map.count; i++)
        for (size_t k = 0; k < i; k++) {
            const struct exec_status *a = option_group_at(&status_group, &s->status_map, i);
            const struct exec_status *b = option_group_at(&status_group, &s->status_map, k);

            if (a->exit == b->exit)
                conf_check_fault(check, "status_map", "the exit code %lld stands twice",
                                 (long long)a->exit);
        }
}

/* What a CGI program says for itself. */
static void check_cgi(const struct exec_settings *s, const struct conf_check *check)
{
    if (!s->cgi)
        return;
    *check->needs |= ACTION_NEEDS_HEADERS | ACTION_NEEDS_LOCAL;
    if (s->status_map.count)
        conf_check_fault(check, "status_map",
                         "found with cgi; allowed: only without, a CGI program writes its status");
    if (s->content_type && strcmp(s->content_type, DEFAULT_TYPE) != 0)
        conf_check_fault(check, "content_type",
                         "found with cgi; allowed: only without, a CGI program writes its type");
}

static int create(void *settings, const struct conf_check *check)
{
    struct exec_settings *s = settings;
    int r =
        template_compile_strings(check, "command", &s->command, TEMPLATE_ARGUMENT, &s->arguments);

    if (!r)
        r = template_compile_pairs(check, "env", &s->env, TEMPLATE_ARGUMENT, &s->variables);
    if (!r)
        r = template_compile(check, "cwd", s->cwd, TEMPLATE_PATH, &s->directory);
    if (!r && s->arguments.count)
        r = find_program(s, check);
    if (s->cwd && s->cwd[0] != '/')
        conf_check_fault(check, "cwd", "found \"%s\"; allowed: a path that begins with /", s->cwd);
    for (const char *p = s->content_type; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            conf_check_fault(check, "content_type",
                             "found control characters; allowed: a media type");
            break;
        }
    check_cgi(s, check);
    if (s->max_output == OPTION_WORD && !s->stream)
        s->max_output = DEFAULT_MAX_OUTPUT;
    if (s->cgi || !s->stream)
        *check->needs |= ACTION_NEEDS_BODY; /* whole, before a thread is taken */
    check_env(s, check);
    check_status_map(s, check);
    s->signal = signals[s->kill_signal];
    return r;
}

static void destroy(void *settings)
{
    struct exec_settings *s = settings;

    template_list_free(&s->arguments);
    template_list_free(&s->variables);
    template_free(s->directory);
    free(s->program);
    free(s->program_directory);
}

/* ---- at run time ----------------------------------------------------------------------------- */

/* Each template becomes one string, behind `prefix[i]=` if there are names.  0, 1 when the request
 * has been refused, or -ENOMEM. */
static int fill_list(const struct template_list *list, const struct pair *names,
                     struct request *request, char **out)
{
    for (size_t i = 0; i < list->count; i++) {
        struct slice value;
        int r = template_fill(list->items[i], request, &value);

        if (r)
            return r;
        /* execve(2) takes what it is given as it is; nothing writes to it. */
        out[i] = names ? NULL : arena_strndup(&request->arena, value.data, value.len);
        if (names) {
            size_t len = strlen(names[i].name);

            out[i] = arena_alloc(&request->arena, len + value.len + 2);
            if (out[i])
                stpcpy(stpcpy(stpcpy(out[i], names[i].name), "="), value.data);
        }
        if (!out[i])
            return -ENOMEM;
    }
    return 0;
}

static bool sets(const struct exec_settings *s, const char *name)
{
    for (size_t i = 0; i < s->env.count; i++)
        if (!strcmp(s->env.items[i].name, name))
            return true;
    return false;
}

enum { OWN_VARIABLES = 4 };

/* What every program is told, unless the configuration says otherwise: where programs are, and by
 * which names its request is found in the logs of this daemon and of whoever it asks. */
static int add_own(const struct exec_settings *s, struct request *request, char **envp, size_t *n)
{
    const struct {
        const char *name, *value;
    } own[OWN_VARIABLES] = {{"PATH", DEFAULT_PATH},
                            {"REQUEST_ID", s->cgi ? NULL : request->id},
                            {"TRACEPARENT", request->trace.parent},
                            {"TRACESTATE", request->trace.state}};

    for (size_t i = 0; i < OWN_VARIABLES; i++) {
        size_t name = strlen(own[i].name), value = own[i].value ? strlen(own[i].value) : 0;
        char *text;

        if (!own[i].value || sets(s, own[i].name))
            continue;
        text = arena_alloc(&request->arena, name + value + 2);
        if (!text)
            return -ENOMEM;
        stpcpy(stpcpy(stpcpy(text, own[i].name), "="), own[i].value);
        envp[(*n)++] = text;
    }
    return 0;
}

static int fill_environment(const struct exec_settings *s, struct request *request, char ***out)
{
    size_t n = 0, more = s->variables.count + OWN_VARIABLES + 1;
    char **envp;
    int r = 0;

    if (s->cgi)
        r = exec_cgi_variables(s, request, more, &envp, &n);
    else if (!(envp = arena_alloc(&request->arena, more * sizeof *envp)))
        r = -ENOMEM;
    if (!r)
        r = fill_list(&s->variables, s->env.items, request, envp + n);
    if (r)
        return r;
    n += s->variables.count;
    r = add_own(s, request, envp, &n);
    envp[n] = NULL;
    *out = envp;
    return r;
}

static int fill_spec(const struct exec_settings *s, struct request *request,
                     struct child_spec *spec)
{
    char **argv = arena_alloc(&request->arena, (s->arguments.count + 1) * sizeof *argv);
    struct slice directory = {s->cgi ? s->program_directory : "/", 0};
    char **envp = NULL;
    int r = argv ? fill_list(&s->arguments, NULL, request, argv) : -ENOMEM;

    if (!r)
        r = fill_environment(s, request, &envp);
    if (!r && s->directory)
        r = template_fill(s->directory, request, &directory);
    if (r)
        return r;
    argv[s->arguments.count] = NULL;
    *spec = (struct child_spec){
        .path = s->program,
        .argv = argv,
        .envp = envp,
        .cwd = directory.data,
        .with_stdin = s->in == EXEC_STDIN_BODY && (request->body.len || request->body_stream),
        .err = s->err == EXEC_STDERR_LOG       ? CHILD_STDERR_PIPE
               : s->err == EXEC_STDERR_DISCARD ? CHILD_STDERR_NULL
                                               : CHILD_STDERR_MERGE,
    };
    return 0;
}

static int start(struct exec_run *run)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    struct request *request = run->request;
    struct child_spec spec;
    int r = fill_spec(run->settings, request, &spec);

    if (r)
        return r;
    run->wake_fd = task_open_poll_fd(&request->task);
    if (run->wake_fd < 0)
        return run->wake_fd;
    r = child_spawn(&run->child, &spec);
    if (!r)
        return 0;
    task_close_poll_fd(&request->task);
    if (r == -E2BIG) {
        problem_respond(request, 413, NULL,
                        "the request is longer than the arguments and the environment of a program "
                        "can be");
        return 1;
    }
    log_limited(&limit, LOG_LEVEL_ERROR, "request %s: route %s: cannot run %s in %s: %s",
                request->id, request->route->path, spec.path, spec.cwd, strerror(-r));
    request->task.result = TASK_RESULT_ERROR;
    problem_respond(request, 500, "action_failed", "the program could not be started: %s",
                    strerror(-r));
    return 1;
}

/* The status that an exit code stands for; 0: none. */
static int mapped_status(const struct exec_settings *s, int status)
{
    if (!WIFEXITED(status))
        return 0;
    for (size_t i = 0; i < s->status_map.count; i++) {
        const struct exec_status *row = option_group_at(&status_group, &s->status_map, i);

        if (row->exit == WEXITSTATUS(status))
            return (int)row->status;
    }
    return WEXITSTATUS(status) == 0 ? 200 : 0;
}

void exec_fail(struct exec_run *run, int status, const char *reason, const char *why, ...)
{
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    struct request *request = run->request;
    struct strbuf text = {0};
    va_list ap;

    va_start(ap, why);
    strbuf_addv(&text, why, ap);
    va_end(ap);
    log_limited(&limit, LOG_LEVEL_WARNING, "request %s: route %s: %s %s", request->id,
                request->route->path, run->settings->program, strbuf_cstr(&text));
    problem_respond(request, status, reason, "the program %s", strbuf_cstr(&text));
    request->task.result = TASK_RESULT_ERROR;
    strbuf_free(&text);
}

static int respond(struct exec_run *run)
{
    int status = mapped_status(run->settings, run->status);
    size_t len = run->output.len;

    if (run->result == -EFBIG) {
        exec_fail(run, 502, "bad_output", "wrote more than %llu bytes",
                  (unsigned long long)exec_most_output(run->settings));
    } else if (run->result && run->result != -EPROTO) {
        return run->result;
    } else if (WIFSIGNALED(run->status) && run->result != -EPROTO) {
        exec_fail(run, 500, "action_failed", "was ended by signal %d (%s)", WTERMSIG(run->status),
                  strsignal(WTERMSIG(run->status)));
    } else if (run->settings->cgi) {
        return exec_cgi_respond(run); /* whatever the exit code: so do all CGI servers */
    } else if (!status) {
        exec_fail(run, 500, "action_failed", "ended with exit code %d", WEXITSTATUS(run->status));
    } else {
        strbuf_addc(&run->output, '\0'); /* so that there is something to take, even of nothing */
        return response_own(run->request, status, run->settings->content_type,
                            strbuf_take(&run->output), len);
    }
    return 0;
}

static int run_program(struct request *request, const void *settings)
{
    struct exec_run run = {.request = request, .settings = settings};
    int r = start(&run);

    if (r)
        return r > 0 ? 0 : r;
    exec_pump(&run);
    task_close_poll_fd(&request->task);
    request->task.children_cpu_ns = run.cpu_ns;
    r = run.begun ? exec_stream_end(&run) : respond(&run);
    strbuf_free(&run.output);
    return r;
}

const struct action action_exec = {
    .conf = {.name = "exec",
             .blocking = true,
             .methods = action_methods_any,
             .options = options,
             .settings_size = sizeof(struct exec_settings),
             .create = create,
             .destroy = destroy,
             .doc = "Runs a program."},
    .needs = ACTION_STREAMS_BODY,
    .run = run_program,
};
