/* Prints a line per configuration option: section, name, default, what is allowed; separated by
 * tabs.  tests/tree/check_docs compares them with handoffd.conf(5). */
#include "action.h"
#include "conf.h"

#include <stdio.h>

static void print_table(const char *kind, const char *name, const struct option_row *row)
{
    for (; row && row->name; row++) {
        struct strbuf allowed = {0};

        option_print_allowed(row, &allowed);
        printf("%s%s\t%s\t%s\t%s\n", kind, name, row->name, row->fallback ? row->fallback : "",
               strbuf_cstr(&allowed));
        strbuf_free(&allowed);
    }
}

int main(void)
{
    const struct conf_action *action;

    print_table("server", "", conf_server_options);
    print_table("listeners", "", conf_listener_options);
    print_table("pools", "", conf_pool_options);
    print_table("routes", "", conf_route_options);
    for (size_t i = 0; (action = registry_at(i)); i++)
        print_table("action ", action->name, action->options);
    return fflush(stdout) ? 1 : 0;
}
