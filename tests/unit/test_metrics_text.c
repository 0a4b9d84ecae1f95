#include "clock.h"
#include "metrics_text.h"
#include "support.h"

#include <string.h>

static const struct {
    const char *value, *expected;
} labels[] = {
    {"", "a=\"\""},
    {"/jobs/{id}", "a=\"/jobs/{id}\""},
    {"\\", "a=\"\\\\\""},
    {"say \"hi\"\n", "a=\"say \\\"hi\\\"\\n\""},
    {"caf\xc3\xa9", "a=\"caf\xc3\xa9\""},
    {"x\xff\"", "a=\"x%FF\\\"\""},
    {"\xc3\xa9\xfe", "a=\"%C3%A9%FE\""},
    {"tab\t", "a=\"tab\t\""},
};

START_TEST(label_values_are_escaped)
{
    for (size_t i = 0; i < COUNT_OF(labels); i++) {
        struct strbuf out = {0};

        metrics_label(&out, "a", labels[i].value);
        ck_assert_strbuf(&out, labels[i].expected);
    }
}
END_TEST

START_TEST(labels_are_joined)
{
    struct strbuf out = {0};

    metrics_label(&out, "a", "1");
    metrics_label(&out, "b", "2");
    ck_assert_strbuf(&out, "a=\"1\",b=\"2\"");
}
END_TEST

START_TEST(samples_are_lines)
{
    struct strbuf out = {0};

    metrics_family(&out, "n_total", "counter", "All of it.");
    metrics_count(&out, "n_total", "", 0);
    metrics_count(&out, "n_total", "a=\"1\"", UINT64_MAX);
    metrics_number(&out, "n", "", 0.25);
    metrics_seconds(&out, "n", "", 0);
    metrics_seconds(&out, "n", "a=\"1\"", UINT64_C(12000000034));
    ck_assert_strbuf(&out, "# HELP n_total All of it.\n"
                           "# TYPE n_total counter\n"
                           "n_total 0\n"
                           "n_total{a=\"1\"} 18446744073709551615\n"
                           "n 0.25\n"
                           "n 0.000000000\n"
                           "n{a=\"1\"} 12.000000034\n");
}
END_TEST

START_TEST(buckets_are_cumulated)
{
    static const int64_t ns[] = {NS_PER_MS, NS_PER_SEC};
    static const char *const seconds[] = {"0.001", "1"};
    const struct stats_bounds bounds = {ns, seconds, 2};
    const struct stats_buckets_sum sum = {.counts = {3, 0, 4}, .sum_ns = 5 * NS_PER_SEC};
    struct strbuf out = {0};

    metrics_histogram(&out, "h", "a=\"1\"", &bounds, &sum);
    metrics_histogram(&out, "h", "", &bounds, &sum);
    ck_assert_strbuf(&out, "h_bucket{a=\"1\",le=\"0.001\"} 3\n"
                           "h_bucket{a=\"1\",le=\"1\"} 3\n"
                           "h_bucket{a=\"1\",le=\"+Inf\"} 7\n"
                           "h_sum{a=\"1\"} 5.000000000\n"
                           "h_count{a=\"1\"} 7\n"
                           "h_bucket{le=\"0.001\"} 3\n"
                           "h_bucket{le=\"1\"} 3\n"
                           "h_bucket{le=\"+Inf\"} 7\n"
                           "h_sum 5.000000000\n"
                           "h_count 7\n");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        label_values_are_escaped,
        labels_are_joined,
        samples_are_lines,
        buckets_are_cumulated,
    };

    return support_run("metrics_text", tests, COUNT_OF(tests));
}
