#include "conf_places.h"
#include "support.h"

static struct conf_places *some_places(void)
{
    struct conf_places *places = conf_places_new("file.conf");

    ck_assert_ptr_nonnull(places);
    ck_assert_int_eq(conf_places_add(places, "listeners.main", "file.conf:3"), 0);
    ck_assert_int_eq(conf_places_add(places, "routes[1]", "file.conf:10"), 0);
    ck_assert_int_eq(conf_places_add(places, "routes[1].path", "sub.conf:2"), 0);
    ck_assert_int_eq(conf_places_add(places, "routes[1].duration", "-o routes[1].duration=1"), 0);
    ck_assert_int_eq(conf_places_add(places, "routes[11].path", "file.conf:99"), 0);
    return places;
}

START_TEST(an_option_is_found_where_it_was_written)
{
    struct conf_places *places = some_places();

    ck_assert_str_eq(conf_places_route(places, 1, "path"), "sub.conf:2");
    ck_assert_str_eq(conf_places_route(places, 1, "duration"), "-o routes[1].duration=1");
    ck_assert_str_eq(conf_places_route(places, 11, "path"), "file.conf:99");
    ck_assert_str_eq(conf_places_section(places, "listeners", "main", NULL), "file.conf:3");
    conf_places_free(places);
}
END_TEST

START_TEST(what_was_not_written_is_found_at_what_holds_it)
{
    struct conf_places *places = some_places();

    ck_assert_str_eq(conf_places_route(places, 1, "pool"), "file.conf:10");
    ck_assert_str_eq(conf_places_route(places, 1, NULL), "file.conf:10");
    ck_assert_str_eq(conf_places_route(places, 2, "path"), "file.conf");
    ck_assert_str_eq(conf_places_route(places, 2, NULL), "file.conf");
    ck_assert_str_eq(conf_places_section(places, "listeners", "other", NULL), "file.conf");
    ck_assert_str_eq(conf_places_section(places, "pools", "main", NULL), "file.conf");
    conf_places_free(places);
}
END_TEST

START_TEST(strings_are_copied)
{
    struct conf_places *places;
    char file[] = "file.conf", key[] = "routes[0]", where[] = "file.conf:7";

    places = conf_places_new(file);
    ck_assert_int_eq(conf_places_add(places, key, where), 0);
    file[0] = key[0] = where[0] = 'X';
    ck_assert_str_eq(conf_places_route(places, 0, NULL), "file.conf:7");
    ck_assert_str_eq(conf_places_route(places, 1, NULL), "file.conf");
    conf_places_free(places);
    conf_places_free(NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_option_is_found_where_it_was_written,
        what_was_not_written_is_found_at_what_holds_it,
        strings_are_copied,
    };

    return support_run("conf_places", tests, COUNT_OF(tests));
}
