/* Prints a line per configuration option: section, name (OUTER.INNER in a list of groups), default,
 * what is allowed, and "template" or "plain"; separated by tabs.  tests/tree/check_docs compares them with handoffd.conf(5). */
#include "action.h"
#include "conf.h"

#include <stdio.h>

static void print_row(const char *section, const char *outer, const struct option_row *row)
{
    struct strbuf allowed = {0};

    option_print_allowed(row, &allowed);
    printf("%s\t%s%s\t%s\t%s\t%s\n", section, outer, row->name, row->fallback ? row->fallback : "",
           strbuf_cstr(&allowed), row->flags & OPTION_TEMPLATE ? "template" : "plain");
    strbuf_free(&allowed);
}

static void print_table(const char *kind, const char *name, const struct option_row *row)
{
    for (; row && row->name; row++) {
        char section[128], outer[128];

        snprintf(section, sizeof section, "%s%s", kind, name);
        snprintf(outer, sizeof outer, "%s.", row->name);
        print_row(section, "", row);
        for (const struct option_row *inner = row->group ? row->group->rows : NULL;
             inner && inner->name; inner++)
            print_row(section, outer, inner);
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
