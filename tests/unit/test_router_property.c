/* The router against the simple matcher of router_model.c, by random patterns and paths. */
#include "http_method.h"
#include "router_model.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

enum { ROUTES = 14, LISTENERS = 3, ROUTERS = 400, LOOKUPS = 150 };

static void random_path(struct support_random *random, char *at, const char *const *words,
                        size_t n_words)
{
    uint32_t count = 1 + support_random_below(random, 4);

    for (uint32_t i = 0; i < count; i++) {
        const char *word = words[support_random_below(random, (uint32_t)n_words)];

        /* An empty segment or a * can only be the last one. */
        if (i + 1 < count && (!*word || *word == '*'))
            word = "a";
        at += *word == '{' ? sprintf(at, "/{%c%u}", word[1], i) : sprintf(at, "/%s", word);
    }
}

static void add_route(struct router_model *model, struct support_random *random)
{
    static const char *const words[] = {"a", "b", "ab", "{x}", "{y}", "*", ""};
    unsigned methods = 1 + support_random_below(random, METHOD_ALL);
    uint64_t listeners = 1 + support_random_below(random, (1 << LISTENERS) - 1);
    char pattern[64];

    random_path(random, pattern, words, COUNT_OF(words));
    if (support_random_below(random, 2))
        methods = METHOD_BIT(support_random_below(random, METHOD_COUNT));
    router_model_add(model, pattern, methods, listeners);
}

static bool look_up(const struct router_model *model, struct support_random *random)
{
    static const char *const words[] = {"a", "b", "c", "ab", ""};
    unsigned method = METHOD_BIT(support_random_below(random, METHOD_COUNT));
    unsigned listener = support_random_below(random, LISTENERS);
    char path[64];

    random_path(random, path, words, COUNT_OF(words));
    return router_model_find(model, path, strlen(path), method, listener) >= 0;
}

START_TEST(the_router_agrees_with_the_simple_matcher)
{
    struct support_random random = support_random_new("router");
    size_t routes = 0, hits = 0;

    for (int n = 0; n < ROUTERS; n++) {
        struct router_model model;

        router_model_init(&model);
        for (size_t i = 0; i < ROUTES; i++)
            add_route(&model, &random);
        for (int i = 0; i < LOOKUPS; i++)
            hits += look_up(&model, &random);
        routes += model.count;
        router_model_free(&model);
    }
    /* Neither all refused nor all in vain, or nothing would have been compared. */
    ck_assert_uint_gt(routes, ROUTERS * ROUTES / 2);
    ck_assert_uint_gt(hits, ROUTERS * LOOKUPS / 10);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_router_agrees_with_the_simple_matcher};

    return support_run("router_property", tests, COUNT_OF(tests));
}
