/* action_exec.h - what the parts of the action "exec" share: its settings and one run of its program.
 * A run belongs to the worker that makes it. */
#ifndef HANDOFFD_ACTION_EXEC_H
#define HANDOFFD_ACTION_EXEC_H

#include "action.h"
#include "cgi_head.h"
#include "child.h"
#include "template.h"

enum exec_stdin { EXEC_STDIN_BODY, EXEC_STDIN_NONE };
enum exec_stderr { EXEC_STDERR_LOG, EXEC_STDERR_DISCARD, EXEC_STDERR_MERGE };

struct exec_settings {
    struct string_list command;
    bool cgi;
    int64_t in; /* enum exec_stdin */
    struct pair_list env;
    char *cwd;
    int64_t kill_signal; /* into the row's choices */
    int64_t kill_grace;  /* ns */
    int64_t max_output;  /* OPTION_WORD: none, a stream's */
    bool stream;
    struct group_list status_map; /* struct exec_status */
    char *content_type;
    int64_t err; /* enum exec_stderr */
    /* Derived: */
    char *program; /* absolute */
    struct template_list arguments;
    struct template_list variables; /* values; the names are those of `env` */
    struct template *directory;
    char *program_directory;
    int signal;
};

struct exec_status {
    int64_t exit;
    int64_t status;
};

/* A program's standard error, line by line on its way to the log. */
struct exec_log {
    char line[512];
    size_t len;
    bool overlong;
    unsigned lines;      /* logged */
    unsigned suppressed; /* not logged */
};

struct exec_run {
    struct request *request;
    const struct exec_settings *settings;
    struct child child;
    int wake_fd;          /* readable when the task is cancelled or nudged */
    struct slice to_feed; /* of the body, not yet written */
    bool starved;         /* more of the body has yet to come; the task is nudged then */
    struct strbuf output; /* all of it, or what stands before a stream's body */
    uint64_t n_output;    /* bytes that it has written */
    uint64_t n_late;      /* ... after its group was killed */
    bool begun;           /* the answer is being sent */
    bool events;          /* ... and is an event stream */
    unsigned newlines;    /* at the end of what has been sent */
    struct exec_log log;
    bool exited; /* the leader has ended */
    bool ending; /* the group has been sent the settings' signal */
    bool killed; /* and SIGKILL */
    bool over;
    int64_t kill_at; /* when it will be */
    int result;      /* 0; -ECANCELED; -EFBIG: too much output; -EPROTO: output that is to be
                      * judged, and no more of it; another -errno */
    int status;      /* of the leader, waitpid(2) */
    int64_t cpu_ns;
};

/* Feeds and reads a program that has been started until it is over, and reaps it.  However it ends,
 * its group is gone then and nothing of it is open. */
void exec_pump(struct exec_run *run);

/* The meta-variables of a CGI program, as "NAME=value" in a list with room for `more` others.
 * 0 or -ENOMEM. */
int exec_cgi_variables(const struct exec_settings *settings, struct request *request, size_t more,
                       char ***items, size_t *count) WARN_UNUSED;

/* Answers with a problem and logs it; `why` is about the program. */
void exec_fail(struct exec_run *run, int status, const char *reason, const char *why, ...)
    __attribute__((format(printf, 4, 5)));

/* The longest output in bytes. */
uint64_t exec_most_output(const struct exec_settings *settings);

/* Puts a CGI program's head into the response. */
void exec_cgi_head(struct exec_run *run, const struct cgi_head *head);

/* Sends a piece of output, with the head before the first one.  0; -ECANCELED; -EPROTO as above;
 * another -errno. */
int exec_stream_take(struct exec_run *run, const char *data, size_t len) WARN_UNUSED;
/* The program has ended and its stream has begun: tells how.  What `run` of the action returns. */
int exec_stream_end(struct exec_run *run) WARN_UNUSED;

/* Answers with what a CGI program has written, or with 502 when that is malformed.  0 or -ENOMEM. */
int exec_cgi_respond(struct exec_run *run) WARN_UNUSED;

/* What a program wrote to its standard error. */
void exec_log_add(struct exec_run *run, const char *data, size_t len);
/* The rest of it. */
void exec_log_end(struct exec_run *run);

#endif
