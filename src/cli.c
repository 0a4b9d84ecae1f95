#include "cli.h"

#include "conf.h"
#include "notify.h"
#include "probes.h"

#include <event2/event.h>
#include <getopt.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONFIG HANDOFFD_SYSCONFDIR "/handoffd/handoffd.conf"

static const char usage[] =
    "usage: handoffd [-c FILE] [-t | -T] [-o KEY=VALUE]... [-l LEVEL] [-h] [-V]\n";

static const char help[] =
    "\n"
    "Serves HTTP and hands slow work to bounded thread pools.\n"
    "\n"
    "  -c, --config FILE      configuration file (" DEFAULT_CONFIG ")\n"
    "  -t, --test             check the configuration, print every error, and exit\n"
    "  -T, --dump             as -t, then print the configuration with its defaults\n"
    "  -o, --set KEY=VALUE    override one option, e.g. pools.default.threads=60\n"
    "  -l, --log-level LEVEL  error, warning, notice, info or debug\n"
    "  -h, --help             print this\n"
    "  -V, --version          print the version and what is built in\n"
    "\n"
    "Signals: HUP reloads, TERM and INT stop gracefully (twice: at once), USR1 logs the status.\n"
    "See handoffd(8) and handoffd.conf(5).\n";

static void print_version(void)
{
    printf("handoffd " HANDOFFD_VERSION "\n"
           "libevent %s, libconfig %s, jansson %s, libcrypto %s, systemd notification: %s, "
           "USDT probes: %s\n",
           event_get_version(), conf_parser_version(), JANSSON_VERSION,
           OpenSSL_version(OPENSSL_VERSION_STRING), notify_built_in(), PROBES_BUILT_IN);
}

static void wrong(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    fputs("handoffd: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n%s", usage);
    cli->mode = CLI_WRONG;
}

static void add_override(struct cli *cli, const char *prefix, const char *text)
{
    char **overrides = reallocarray(cli->overrides, cli->n_overrides + 1, sizeof *overrides);
    struct strbuf copy = {0};

    strbuf_adds(&copy, prefix);
    strbuf_adds(&copy, text);
    if (overrides) {
        cli->overrides = overrides;
        overrides[cli->n_overrides] = strbuf_take(&copy);
    }
    if (!overrides || !overrides[cli->n_overrides])
        wrong(cli, "%s", "out of memory");
    else
        cli->n_overrides++;
    strbuf_free(&copy);
}

static void set_log_level(struct cli *cli, const char *level)
{
    const struct option_row *row = option_find(conf_server_options, "log_level");

    for (size_t i = 0; row->choices[i]; i++)
        if (!strcmp(row->choices[i], level)) {
            add_override(cli, "server.log_level=", level);
            return;
        }
    wrong(cli, "unknown log level \"%s\"; allowed: error, warning, notice, info, debug", level);
}

static void take_option(struct cli *cli, int option, const char *unknown)
{
    switch (option) {
    case 'c':
        cli->config = optarg;
        break;
    case 't':
        /* -T does what -t does and more. */
        if (cli->mode == CLI_SERVE)
            cli->mode = CLI_TEST;
        break;
    case 'T':
        cli->mode = CLI_DUMP;
        break;
    case 'o':
        if (*optarg == '=' || !strchr(optarg, '='))
            wrong(cli, "-o %s: expected KEY=VALUE, such as pools.default.threads=60", optarg);
        else
            add_override(cli, "", optarg);
        break;
    case 'l':
        set_log_level(cli, optarg);
        break;
    case 'h':
        printf("%s%s", usage, help);
        cli->mode = CLI_DONE;
        break;
    case 'V':
        print_version();
        cli->mode = CLI_DONE;
        break;
    case ':':
        wrong(cli, "the option %s needs a value", unknown);
        break;
    default:
        /* A short one may stand among others, in one argument. */
        if (optopt && strncmp(unknown, "--", 2) != 0)
            wrong(cli, "unknown option -%c", optopt);
        else
            wrong(cli, "unknown option %s", unknown);
    }
}

void cli_parse(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"dump", no_argument, NULL, 'T'},
        {"set", required_argument, NULL, 'o'},
        {"log-level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    int option;

    *cli = (struct cli){.mode = CLI_SERVE, .config = DEFAULT_CONFIG};
    while (cli->mode != CLI_DONE && cli->mode != CLI_WRONG &&
           (option = getopt_long(argc, argv, "+:c:tTo:l:hV", options, NULL)) != -1)
        take_option(cli, option, argv[optind - 1]);
    if (cli->mode != CLI_DONE && cli->mode != CLI_WRONG && optind < argc)
        wrong(cli, "unexpected argument \"%s\"", argv[optind]);
}

void cli_clear(struct cli *cli)
{
    for (size_t i = 0; i < cli->n_overrides; i++)
        free(cli->overrides[i]);
    free(cli->overrides);
    cli->overrides = NULL;
    cli->n_overrides = 0;
}
