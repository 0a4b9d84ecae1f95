/* DESIGN
 *
 * A scrape writes thousands of lines on an event loop that others wait for, so lines are put together
 * by copying: no printf, and what the lines of a histogram have in common is made once. */
#include "metrics_text.h"

#include "json_text.h"

#include <stdio.h>
#include <string.h>

void metrics_family(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_label(struct strbuf *labels, const char *name, const char *value)
{
    size_t plain = strcspn(value, "\\\"\n");
    bool utf8 = json_text_is_utf8(value, strlen(value));

    if (labels->len)
        strbuf_addc(labels, ',');
    strbuf_adds(labels, name);
    strbuf_adds(labels, "=\"");
    if (utf8) {
        strbuf_add(labels, value, plain);
        value += plain;
    }
    for (; *value; value++)
        if (*value == '\\' || *value == '"')
            strbuf_addf(labels, "\\%c", *value);
        else if (*value == '\n')
            strbuf_adds(labels, "\\n");
        else if (!utf8 && (unsigned char)*value >= 0x80)
            strbuf_addf(labels, "%%%02X", (unsigned char)*value);
        else
            strbuf_addc(labels, *value);
    strbuf_addc(labels, '"');
}

/* Digits that end before `end`, at most 20; returns where they begin. */
static const char *digits_of(uint64_t value, char *end)
{
    do
        *--end = (char)('0' + value % 10);
    while (value /= 10);
    return end;
}

static void add_value(struct strbuf *out, uint64_t value)
{
    char digits[21];
    const char *at = digits_of(value, &digits[20]);

    digits[20] = '\n';
    strbuf_add(out, at, (size_t)(&digits[20] - at) + 1);
}

static void add_name(struct strbuf *out, const char *name, const char *labels)
{
    strbuf_adds(out, name);
    if (*labels) {
        strbuf_addc(out, '{');
        strbuf_adds(out, labels);
        strbuf_addc(out, '}');
    }
    strbuf_addc(out, ' ');
}

void metrics_count(struct strbuf *out, const char *name, const char *labels, uint64_t value)
{
    add_name(out, name, labels);
    add_value(out, value);
}

void metrics_number(struct strbuf *out, const char *name, const char *labels, double value)
{
    add_name(out, name, labels);
    strbuf_addf(out, "%.17g\n", value);
}

void metrics_seconds(struct strbuf *out, const char *name, const char *labels, uint64_t ns)
{
    char digits[21], fraction[11] = ".000000000\n";
    const char *at = digits_of(ns / 1000000000, &digits[20]);
    uint64_t rest = ns % 1000000000;

    add_name(out, name, labels);
    strbuf_add(out, at, (size_t)(&digits[20] - at));
    for (int i = 9; i > 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    strbuf_add(out, fraction, sizeof fraction);
}

/* "NAME_bucket{LABELS,le=\"" */
static void put_bucket_start(struct strbuf *start, const char *name, const char *labels)
{
    strbuf_adds(start, name);
    strbuf_adds(start, "_bucket{");
    if (*labels) {
        strbuf_adds(start, labels);
        strbuf_addc(start, ',');
    }
    strbuf_adds(start, "le=\"");
}

void metrics_histogram(struct strbuf *out, const char *name, const char *labels,
                       const struct stats_bounds *bounds, const struct stats_buckets_sum *sum)
{
    struct strbuf start = {0}, other = {0};
    uint64_t seen = 0;

    put_bucket_start(&start, name, labels);
    for (unsigned i = 0; i <= bounds->count; i++) {
        seen += sum->counts[i];
        strbuf_add(out, start.data, start.len);
        strbuf_adds(out, i < bounds->count ? bounds->seconds[i] : "+Inf");
        strbuf_add(out, "\"} ", 3);
        add_value(out, seen);
    }
    strbuf_adds(&other, name);
    strbuf_adds(&other, "_sum");
    metrics_seconds(out, strbuf_cstr(&other), labels, sum->sum_ns);
    other.len = 0;
    strbuf_adds(&other, name);
    strbuf_adds(&other, "_count");
    metrics_count(out, strbuf_cstr(&other), labels, seen);
    out->failed |= start.failed || other.failed;
    strbuf_free(&start);
    strbuf_free(&other);
}
