/* cli.h - the command line. */
#ifndef HANDOFFD_CLI_H
#define HANDOFFD_CLI_H

#include <stddef.h>

enum cli_mode { CLI_SERVE, CLI_TEST, CLI_DUMP, CLI_DONE, CLI_WRONG };

struct cli {
    enum cli_mode mode; /* CLI_DONE: help or version was printed; CLI_WRONG: usage was printed */
    const char *config;
    char **overrides; /* "KEY=VALUE", later ones win; free()d by cli_clear */
    size_t n_overrides;
};

/* Reads the arguments; what is wrong with them is said on stderr. */
void cli_parse(struct cli *cli, int argc, char **argv);
void cli_clear(struct cli *cli);

#endif
