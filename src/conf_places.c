#include "conf_places.h"

#include "str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct place {
    char *key;
    char *where;
};

struct conf_places {
    struct place *items;
    size_t count;
    char *file;
};

struct conf_places *conf_places_new(const char *file)
{
    struct conf_places *places = calloc(1, sizeof *places);

    if (places)
        places->file = strdup(file);
    if (places && !places->file) {
        free(places);
        return NULL;
    }
    return places;
}

void conf_places_free(struct conf_places *places)
{
    if (!places)
        return;
    for (size_t i = 0; i < places->count; i++) {
        free(places->items[i].key);
        free(places->items[i].where);
    }
    free(places->items);
    free(places->file);
    free(places);
}

int conf_places_add(struct conf_places *places, const char *key, const char *where)
{
    struct place *items = reallocarray(places->items, places->count + 1, sizeof *items);
    struct place *place;

    if (!items)
        return -ENOMEM;
    places->items = items;
    place = &items[places->count++];
    place->key = strdup(key);
    place->where = strdup(where);
    return place->key && place->where ? 0 : -ENOMEM;
}

static const char *find(const struct conf_places *places, const char *key)
{
    for (size_t i = 0; i < places->count; i++)
        if (places->items[i].key && !strcmp(places->items[i].key, key))
            return places->items[i].where;
    return NULL;
}

bool conf_places_has(const struct conf_places *places, const char *key)
{
    return find(places, key) != NULL;
}

/* The place of `key`.option, else that of the innermost group around it that has one, up to `key`;
 * else the file. */
static const char *find_option(const struct conf_places *places, struct strbuf *key,
                               const char *option)
{
    const char *where = NULL;
    size_t len = key->len;

    if (option)
        strbuf_addf(key, ".%s", option);
    while (key->data && !(where = find(places, key->data)) && strlen(key->data) > len)
        *strrchr(key->data, '.') = '\0';
    strbuf_free(key);
    return where ? where : places->file;
}

const char *conf_places_route(const struct conf_places *places, size_t route, const char *option)
{
    struct strbuf key = {0};

    strbuf_addf(&key, "routes[%zu]", route);
    return find_option(places, &key, option);
}

const char *conf_places_section(const struct conf_places *places, const char *section,
                                const char *name, const char *option)
{
    struct strbuf key = {0};

    strbuf_addf(&key, "%s.%s", section, name);
    return find_option(places, &key, option);
}
