/* main.c - reads the command line and the configuration, then serves or only tells. */
#include "action.h"
#include "cli.h"
#include "clock.h"
#include "conf.h"
#include "json_text.h"
#include "log.h"
#include "small_memory.h"
#include "notify.h"
#include "supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static void print_faults(const struct conf_faults *faults, enum cli_mode mode)
{
    for (size_t i = 0; i < faults->count; i++)
        if (mode == CLI_SERVE && log_is_journal())
            log_error("%s: %s", faults->items[i].where, faults->items[i].text);
        else
            fprintf(stderr, "%s: %s\n", faults->items[i].where, faults->items[i].text);
    if (faults->out_of_memory && !faults->count)
        log_error("the configuration cannot be read: %s", strerror(ENOMEM));
}

static void tell_faults(const struct conf_faults *faults)
{
    struct strbuf text = {0};

    conf_faults_sum_up(faults, &text);
    notify_failed(faults->out_of_memory ? ENOMEM : EINVAL, strbuf_cstr(&text));
    strbuf_free(&text);
}

static int dump(const struct conf *conf)
{
    struct strbuf text = {0};
    int status = EX_OSERR;

    conf_dump(conf, &text);
    if (!text.failed && fputs(strbuf_cstr(&text), stdout) >= 0 && fflush(stdout) == 0)
        status = EX_OK;
    strbuf_free(&text);
    return status;
}

static int run(const struct cli *cli)
{
    const struct conf_source source = {.path = cli->config,
                                       .overrides = (const char *const *)cli->overrides,
                                       .n_overrides = cli->n_overrides,
                                       .find_action = registry_find,
                                       .action_at = registry_at};
    struct conf_faults faults = {0};
    struct conf *conf = conf_load(&source, &faults);
    int status = faults.out_of_memory ? EX_OSERR : EX_CONFIG;

    if (!conf)
        log_prepare_exit();
    print_faults(&faults, cli->mode);
    if (!conf && cli->mode == CLI_SERVE)
        tell_faults(&faults);
    conf_faults_clear(&faults);
    if (conf && cli->mode == CLI_SERVE)
        return supervisor_run(&source, conf);
    if (conf)
        status = cli->mode == CLI_DUMP ? dump(conf) : EX_OK;
    conf_free(conf);
    return status;
}

static void log_libevent(int severity, const char *message)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING,
                                            LOG_LEVEL_ERROR};

    /* What it warns of, it may meet again in each turn of a loop. */
    static struct log_limit limit = {.interval_ns = NS_PER_SEC};
    enum log_level level = severity >= 0 && severity < 4 ? levels[severity] : LOG_LEVEL_ERROR;

    log_limited(&limit, level, "libevent: %s", message);
}

/* It has said why, and would exit with a code of its own. */
static void end_for_libevent(int code)
{
    (void)code;
    _exit(EX_OSERR);
}

int main(int argc, char **argv)
{
    struct cli cli;
    int status;

    log_init();
    json_text_init();
    event_set_mem_functions(small_alloc, small_realloc, small_free);
    event_set_log_callback(log_libevent);
    event_set_fatal_callback(end_for_libevent);
    cli_parse(&cli, argc, argv);
    status = cli.mode == CLI_WRONG ? EX_USAGE : cli.mode == CLI_DONE ? EX_OK : run(&cli);
    cli_clear(&cli);
    libevent_global_shutdown();
    return status;
}
