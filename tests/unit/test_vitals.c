#include "support.h"
#include "vitals.h"

#include <string.h>

START_TEST(a_new_program_has_no_past)
{
    struct vitals vitals;

    memset(&vitals, 0xff, sizeof vitals);
    support_clock_stop(4711);
    vitals_init(&vitals);
    ck_assert_int_eq(vitals.started_ns, 4711);
    ck_assert_int_gt(vitals.started_at, 0);
    ck_assert_int_le(vitals.started_at, time(NULL));
    ck_assert(!vitals.draining);
    ck_assert_uint_eq(meters_requests(&vitals.meters), 0);
    ck_assert_uint_eq(vitals.reloads_ok, 0);
    ck_assert_uint_eq(vitals.reloads_failed, 0);
    ck_assert_int_eq(vitals.last_reload_at, 0);
    ck_assert_str_eq(vitals.last_reload_text, "");
    vitals_destroy(&vitals);
}
END_TEST

START_TEST(reloads_are_noted)
{
    struct vitals vitals;

    vitals_init(&vitals);
    vitals_note_reload(&vitals, true, "all well");
    ck_assert_uint_eq(vitals.reloads_ok, 1);
    ck_assert_uint_eq(vitals.reloads_failed, 0);
    ck_assert(vitals.last_reload_ok);
    ck_assert_int_ge(vitals.last_reload_at, vitals.started_at);
    ck_assert_str_eq(vitals.last_reload_text, "all well");
    vitals_note_reload(&vitals, false, "bad");
    vitals_note_reload(&vitals, false, "worse");
    ck_assert_uint_eq(vitals.reloads_ok, 1);
    ck_assert_uint_eq(vitals.reloads_failed, 2);
    ck_assert(!vitals.last_reload_ok);
    ck_assert_str_eq(vitals.last_reload_text, "worse");
    vitals_destroy(&vitals);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    struct vitals vitals;
    char text[1000];

    memset(text, 'x', sizeof text);
    text[999] = '\0';
    vitals_init(&vitals);
    vitals_note_reload(&vitals, false, text);
    ck_assert_uint_eq(strlen(vitals.last_reload_text), sizeof vitals.last_reload_text - 1);
    ck_assert_mem_eq(vitals.last_reload_text, text, sizeof vitals.last_reload_text - 1);
    vitals_destroy(&vitals);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_new_program_has_no_past,
        reloads_are_noted,
        long_texts_are_cut,
    };

    return support_run("vitals", tests, COUNT_OF(tests));
}
