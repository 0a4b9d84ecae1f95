/* pool: the numbers of one pool, all of them or one alone. */
#include "action.h"
#include "json_text.h"
#include "pool_json.h"
#include "snapshot.h"

#include <stdio.h>
#include <string.h>

struct settings {
    char *pool;
    char *field;
    int pool_index;
    int field_index; /* -1: the whole document */
};

static const struct option_row options[] = {
    {"pool", OPTION_STRING, offsetof(struct settings, pool), "default", 1, 64, NULL, 0, NULL,
     "The pool that is shown."},
    {"field", OPTION_STRING, offsetof(struct settings, field), NULL, 1, 64, NULL, 0, NULL,
     "The one number that is shown, bare; without it the whole pool as JSON."},
    {0},
};

static void list_fields(struct strbuf *out)
{
    for (size_t i = 0; pool_json_fields[i]; i++)
        strbuf_addf(out, "%s\"%s\"", i ? ", " : "", pool_json_fields[i]);
}

static void check_field(struct settings *s, const struct conf_check *check)
{
    struct str_nearest nearest = {.wanted = s->field};
    struct strbuf allowed = {0};

    for (int i = 0; pool_json_fields[i] && s->field_index < 0; i++)
        if (!strcmp(pool_json_fields[i], s->field))
            s->field_index = i;
        else
            str_nearest_try(&nearest, pool_json_fields[i]);
    if (s->field_index >= 0)
        return;
    list_fields(&allowed);
    conf_check_fault(check, "field", "found \"%s\"%s%s%s; allowed: %s", s->field,
                     nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                     nearest.best ? "\"?" : "", strbuf_cstr(&allowed));
    strbuf_free(&allowed);
}

static int create(void *settings, const struct conf_check *check)
{
    struct settings *s = settings;

    s->field_index = -1;
    s->pool_index = s->pool ? conf_find_pool(check->conf, s->pool) : -1;
    if (s->pool && s->pool_index < 0)
        conf_check_pool(check, "pool", s->pool);
    if (s->field)
        check_field(s, check);
    return 0;
}

static int run(struct request *request, const void *settings)
{
    const struct settings *s = settings;
    struct pool *pool = request->snapshot->pools[s->pool_index];
    struct pool_stats stats;
    char *number;
    int len;

    if (s->field_index < 0)
        return json_text_respond(request, 200, "application/json",
                                 pool_json(request->snapshot, (size_t)s->pool_index));
    pool_get_stats(pool, &stats);
    len = asprintf(&number, "%llu",
                   (unsigned long long)pool_json_field(&stats, (size_t)s->field_index));
    return response_own(request, 200, "text/plain; charset=utf-8", len < 0 ? NULL : number,
                        len < 0 ? 0 : (size_t)len);
}

const struct action action_pool = {
    .conf = {.name = "pool",
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct settings),
             .create = create,
             .doc = "One pool as JSON, or one of its numbers."},
    .run = run,
};
