#include "support.h"
#include "trace_context.h"

#include <string.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const struct {
    const char *text;
    bool valid;
} cases[] = {
    {"00-" TRACE "-" SPAN "-01", true},
    {"00-" TRACE "-" SPAN "-00", true},
    {"01-" TRACE "-" SPAN "-01", true},
    {"cc-" TRACE "-" SPAN "-01-what-the-future-holds", true},
    {"00-" TRACE "-" SPAN "-01-more", false},
    {"00-" TRACE "-" SPAN "-01-", false},
    {"cc-" TRACE "-" SPAN "-01.what", false},
    {"ff-" TRACE "-" SPAN "-01", false},
    {"0-" TRACE "-" SPAN "-01", false},
    {"00-00000000000000000000000000000000-" SPAN "-01", false},
    {"00-" TRACE "-0000000000000000-01", false},
    {"00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", false},
    {"00-" TRACE "-" SPAN "-0g", false},
    {"00-" TRACE "-" SPAN "-1", false},
    {"00_" TRACE "-" SPAN "-01", false},
    {"00-" TRACE "_" SPAN "-01", false},
    {"00-" TRACE "-" SPAN "_01", false},
    {"zz-" TRACE "-" SPAN "-01", false},
    {"", false},
};

START_TEST(only_well_formed_contexts_are_valid)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        ck_assert_msg(trace_context_is_valid(cases[i].text, strlen(cases[i].text)) ==
                          cases[i].valid,
                      "%s", cases[i].text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {only_well_formed_contexts_are_valid};

    return support_run("trace_context", tests, COUNT_OF(tests));
}
