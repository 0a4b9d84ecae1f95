#include "cli.h"
#include "support.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_WORDS = 12 };

/* Reads a command line of words separated by one blank each. */
static struct cli parse(const char *line)
{
    static char copy[512];
    static char *argv[MAX_WORDS + 1];
    struct cli cli;
    int argc = 0;

    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        ck_assert_int_lt(argc, MAX_WORDS);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    optind = 0; /* getopt(3) begins anew */
    cli_parse(&cli, argc, argv);
    return cli;
}

START_TEST(without_options_it_serves)
{
    struct cli cli = parse("handoffd");

    ck_assert_int_eq(cli.mode, CLI_SERVE);
    ck_assert_str_eq(cli.config, HANDOFFD_SYSCONFDIR "/handoffd/handoffd.conf");
    ck_assert_uint_eq(cli.n_overrides, 0);
    cli_clear(&cli);
}
END_TEST

START_TEST(options_are_read)
{
    static const struct {
        const char *line;
        enum cli_mode mode;
        const char *config, *override; /* NULL: the default, none */
    } rows[] = {
        {"handoffd -c x.conf", CLI_SERVE, "x.conf", NULL},
        {"handoffd -cx.conf", CLI_SERVE, "x.conf", NULL},
        {"handoffd --config x.conf", CLI_SERVE, "x.conf", NULL},
        {"handoffd --config=x.conf", CLI_SERVE, "x.conf", NULL},
        {"handoffd -c a -c b", CLI_SERVE, "b", NULL},
        {"handoffd -t", CLI_TEST, NULL, NULL},
        {"handoffd --test", CLI_TEST, NULL, NULL},
        {"handoffd -T", CLI_DUMP, NULL, NULL},
        {"handoffd --dump", CLI_DUMP, NULL, NULL},
        {"handoffd -t -T", CLI_DUMP, NULL, NULL},
        {"handoffd -T -t", CLI_DUMP, NULL, NULL},
        {"handoffd -tc x", CLI_TEST, "x", NULL},
        {"handoffd -o a.b=c", CLI_SERVE, NULL, "a.b=c"},
        {"handoffd --set a.b=c", CLI_SERVE, NULL, "a.b=c"},
        {"handoffd --set=a.b=c=d", CLI_SERVE, NULL, "a.b=c=d"},
        {"handoffd -l debug", CLI_SERVE, NULL, "server.log_level=debug"},
        {"handoffd --log-level=error", CLI_SERVE, NULL, "server.log_level=error"},
        {"handoffd -c x --", CLI_SERVE, "x", NULL},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cli cli = parse(rows[i].line);

        ck_assert_msg(cli.mode == rows[i].mode, "%s", rows[i].line);
        if (rows[i].config)
            ck_assert_str_eq(cli.config, rows[i].config);
        ck_assert_uint_eq(cli.n_overrides, rows[i].override != NULL);
        if (rows[i].override)
            ck_assert_str_eq(cli.overrides[0], rows[i].override);
        cli_clear(&cli);
    }
}
END_TEST

START_TEST(overrides_keep_their_order)
{
    struct cli cli = parse("handoffd -o a=1 -l info -o a=2 -c x -o b=3");

    ck_assert_uint_eq(cli.n_overrides, 4);
    ck_assert_str_eq(cli.overrides[0], "a=1");
    ck_assert_str_eq(cli.overrides[1], "server.log_level=info");
    ck_assert_str_eq(cli.overrides[2], "a=2");
    ck_assert_str_eq(cli.overrides[3], "b=3");
    cli_clear(&cli);
    ck_assert_uint_eq(cli.n_overrides, 0);
    cli_clear(&cli);
}
END_TEST

START_TEST(help_and_version_go_to_standard_output)
{
    static const struct {
        const char *line, *expected;
    } rows[] = {
        {"handoffd -h", "usage: handoffd"},
        {"handoffd --help", "--set KEY=VALUE"},
        {"handoffd -V", "handoffd " HANDOFFD_VERSION "\n"},
        {"handoffd --version", "libevent"},
        {"handoffd -h --nonsense", "usage: handoffd"},
        {"handoffd -t -V", "libconfig"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cli cli;
        char *text;

        support_capture(STDOUT_FILENO);
        cli = parse(rows[i].line);
        text = support_captured();
        ck_assert_msg(cli.mode == CLI_DONE, "%s", rows[i].line);
        ck_assert_contains(text, rows[i].expected);
        free(text);
        cli_clear(&cli);
    }
}
END_TEST

/* What is wrong and the usage go to standard error. */
static void check_wrong(const char *line, const char *expected)
{
    struct cli cli;
    char *text;

    support_capture(STDERR_FILENO);
    cli = parse(line);
    text = support_captured();
    ck_assert_msg(cli.mode == CLI_WRONG, "%s was taken", line);
    ck_assert_msg(!strncmp(text, "handoffd: ", 10), "%s", text);
    ck_assert_contains(text, expected);
    ck_assert_contains(text, "\nusage: handoffd [-c FILE]");
    free(text);
    cli_clear(&cli);
}

START_TEST(wrong_usage_is_told)
{
    check_wrong("handoffd -x", "unknown option -x");
    check_wrong("handoffd --nonsense", "unknown option --nonsense");
    check_wrong("handoffd --test=1", "--test=1");
    check_wrong("handoffd -c", "the option -c needs a value");
    check_wrong("handoffd --config", "the option --config needs a value");
    check_wrong("handoffd -o", "the option -o needs a value");
    check_wrong("handoffd -l", "the option -l needs a value");
    check_wrong("handoffd -o server.loops", "-o server.loops: expected KEY=VALUE");
    check_wrong("handoffd -o =5", "expected KEY=VALUE");
    check_wrong("handoffd -l loud", "unknown log level \"loud\"; allowed: error, warning");
    check_wrong("handoffd -l Debug", "unknown log level");
    check_wrong("handoffd file.conf", "unexpected argument \"file.conf\"");
    check_wrong("handoffd -t file.conf -T", "unexpected argument \"file.conf\"");
    check_wrong("handoffd -- -t", "unexpected argument \"-t\"");
    check_wrong("handoffd -o a=1 -x", "unknown option -x");
}
END_TEST

START_TEST(an_unknown_letter_among_others_is_named)
{
    check_wrong("handoffd -xt", "unknown option -x");
    check_wrong("handoffd -txT", "unknown option -");
    check_wrong("handoffd -c a -xt", "unknown option -x");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        without_options_it_serves,  options_are_read,
        overrides_keep_their_order, help_and_version_go_to_standard_output,
        wrong_usage_is_told,        an_unknown_letter_among_others_is_named,
    };

    return support_run("cli", tests, COUNT_OF(tests));
}
