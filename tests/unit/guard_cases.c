#include "guard_cases.h"

static const struct {
    const struct guard_case *cases;
    const size_t *n;
} tables[] = {
    {guard_line_cases, &guard_n_line_cases},
    {guard_field_cases, &guard_n_field_cases},
    {guard_body_cases, &guard_n_body_cases},
};

const struct guard_case *guard_case_nth(size_t i)
{
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        if (i < *tables[t].n)
            return &tables[t].cases[i];
        i -= *tables[t].n;
    }
    return NULL;
}
