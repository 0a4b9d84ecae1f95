#include "conf.h"

#include <string.h>

/* What a TCP listener does not take. */
static const struct option_row unix_only[] = {{.name = "mode"}, {0}};

static void print_rows(const struct option_row *table, const void *settings, const char *indent,
                       const struct option_row *shadowing, bool blocking, struct strbuf *out)
{
    for (; table && table->name; table++) {
        if (option_find(shadowing, table->name) || (!blocking && (table->flags & OPTION_BLOCKING)))
            continue;
        /* Named all the same, so that the list of options is whole.  An empty list in place of a
         * default is a value. */
        if (!option_is_set(table, settings) && !table->fallback) {
            strbuf_addf(out, "%s# %s: not set\n", indent, table->name);
            continue;
        }
        strbuf_addf(out, "%s%s = ", indent, table->name);
        option_print_masked(table, settings, out);
        strbuf_adds(out, ";\n");
    }
}

void conf_dump(const struct conf *conf, struct strbuf *out)
{
    strbuf_adds(out, "server: {\n");
    print_rows(conf_server_options, &conf->server, "    ", NULL, true, out);
    strbuf_adds(out, "};\nlisteners: {\n");
    for (size_t i = 0; i < conf->n_listeners; i++) {
        strbuf_addf(out, "    %s: {\n", conf->listeners[i].name);
        print_rows(conf_listener_options, &conf->listeners[i], "        ",
                   strncmp(conf->listeners[i].address, "unix:", 5) ? unix_only : NULL, true, out);
        strbuf_adds(out, "    };\n");
    }
    strbuf_adds(out, "};\npools: {\n");
    for (size_t i = 0; i < conf->n_pools; i++) {
        if (conf->pools[i].dedicated)
            continue;
        strbuf_addf(out, "    %s: {\n", conf->pools[i].name);
        print_rows(conf_pool_options, &conf->pools[i], "        ", NULL, true, out);
        strbuf_adds(out, "    };\n");
    }
    strbuf_adds(out, "};\nroutes: (\n");
    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];

        strbuf_adds(out, "    {\n");
        print_rows(conf_route_options, route, "        ", route->action->options,
                   route->action->blocking, out);
        print_rows(route->action->options, route->settings, "        ", NULL, true, out);
        strbuf_addf(out, "    }%s\n", i + 1 < conf->n_routes ? "," : "");
    }
    strbuf_adds(out, ");\n");
}
