/* What `file` goes by: ranges, preconditions, codings, media types, dates, names in URIs. */
#include "byte_ranges.h"
#include "clock.h"
#include "content_coding.h"
#include "mime.h"
#include "precondition.h"
#include "support.h"
#include "uri_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- ranges ---------------------------------------------------------------------------------- */

START_TEST(ranges_are_read_as_the_rfc_says)
{
    static const struct {
        const char *value;
        int64_t size;
        const char *expected; /* "offset+length ...", "" for all of it, "416" */
    } cases[] = {
        {"bytes=0-499", 10000, "0+500"},
        {"bytes=500-999", 10000, "500+500"},
        {"bytes=-500", 10000, "9500+500"},
        {"bytes=9500-", 10000, "9500+500"},
        {"bytes=0-0,-1", 10000, "0+1 9999+1"},
        {"bytes= 0-999, 4500-5499, -1000", 10000, "0+1000 4500+1000 9000+1000"},
        {"BYTES=0-0", 1, "0+1"},
        {"bytes=0-", 1, "0+1"},
        {"bytes=0-99", 10, "0+10"},
        {"bytes=-99", 10, "0+10"},
        {"bytes=9-9", 10, "9+1"},
        {"bytes=,0-0,,1-1,", 10, "0+1 1+1"},
        {"bytes=0-0 , 1-1", 10, "0+1 1+1"},
        {"bytes=5-5,100-200", 10, "5+1"},
        {"bytes=0-99999999999999999999", 10, "0+10"},
        {"bytes=10-", 10, "416"},
        {"bytes=10-20", 10, "416"},
        {"bytes=99999999999999999999-", 10, "416"},
        {"bytes=-0", 10, "416"},
        {"bytes=0-", 0, "416"},
        {"bytes=-5", 0, "416"},
        {"bytes=10-,20-30", 10, "416"},
        {"bytes=", 10, ""},
        {"bytes=,", 10, ""},
        {"bytes", 10, ""},
        {"bytes=-", 10, ""},
        {"bytes=a-b", 10, ""},
        {"bytes=1-b", 10, ""},
        {"bytes=0x1-2", 10, ""},
        {"bytes=5-4", 10, ""},
        {"bytes=--1", 10, ""},
        {"bytes=1--2", 10, ""},
        {"bytes=+1-2", 10, ""},
        {"bytes=1-2;3-4", 10, ""},
        {"bytes=1-2 3-4", 10, ""},
        {"bytes=1-2,x", 10, ""},
        {"bytes =1-2", 10, ""},
        {"lines=1-2", 10, ""},
        {"", 10, ""},
        {"bytes=0-9,0-0", 10, ""}, /* more than there is */
        {"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", 100,
         "0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1 0+1"},
        {"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", 100, ""},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct byte_range ranges[BYTE_RANGES_MAX];
        struct strbuf got = {0};
        unsigned n;
        enum byte_ranges_result result =
            byte_ranges_read(cases[i].value, cases[i].size, ranges, &n);

        if (result == BYTE_RANGES_UNSATISFIED)
            strbuf_adds(&got, "416");
        for (unsigned k = 0; result == BYTE_RANGES_FOUND && k < n; k++)
            strbuf_addf(&got, "%s%lld+%lld", k ? " " : "", (long long)ranges[k].offset,
                        (long long)ranges[k].length);
        ck_assert_msg(!strcmp(strbuf_cstr(&got), cases[i].expected), "%s of %lld: %s, not %s",
                      cases[i].value, (long long)cases[i].size, strbuf_cstr(&got),
                      cases[i].expected);
        strbuf_free(&got);
    }
}
END_TEST

/* ---- requests with fields -------------------------------------------------------------------- */

static struct header fields[8];
static struct request request;

/* "Name: value" each; NULL ends them. */
static void make_request(enum http_method method, const char *const *lines)
{
    static char names[8][64];
    size_t n = 0;

    for (; lines[n]; n++) {
        const char *colon = strchr(lines[n], ':');

        memcpy(names[n], lines[n], (size_t)(colon - lines[n]));
        names[n][colon - lines[n]] = '\0';
        fields[n] = (struct header){names[n], colon + 2};
    }
    request = (struct request){.method = method, .headers = fields, .n_headers = n};
}

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define SAME "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"
static const struct validators validators = {"\"one\"", 784111777};

START_TEST(preconditions_go_by_their_order)
{
    static const struct {
        const char *lines[4];
        enum precondition reading, writing;
    } cases[] = {
        {{NULL}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Match: \"one\""}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Match: *"}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Match: \"two\", \"one\""}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Match: \"two\"", "if-match: \"one\""}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Match: \"two\""}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Match: W/\"one\""}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Match: one"}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Match: \"one"}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Match: \"a,\"one\""}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Match: "}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Unmodified-Since: " SAME}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Unmodified-Since: " AFTER}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Unmodified-Since: " BEFORE}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Unmodified-Since: yesterday"}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        /* If-Match is heard, then this is not */
        {{"If-Match: \"one\"", "If-Unmodified-Since: " BEFORE},
         PRECONDITION_HOLDS,
         PRECONDITION_HOLDS},
        {{"If-None-Match: \"one\""}, PRECONDITION_NOT_MODIFIED, PRECONDITION_FAILED},
        {{"If-None-Match: W/\"one\""}, PRECONDITION_NOT_MODIFIED, PRECONDITION_FAILED},
        {{"If-None-Match: *"}, PRECONDITION_NOT_MODIFIED, PRECONDITION_FAILED},
        {{"If-None-Match: \"a\", W/\"b\",\"one\""}, PRECONDITION_NOT_MODIFIED, PRECONDITION_FAILED},
        {{"If-None-Match: \"two\""}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-None-Match: \"ONE\""}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-None-Match: \"\""}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Modified-Since: " SAME}, PRECONDITION_NOT_MODIFIED, PRECONDITION_HOLDS},
        {{"If-Modified-Since: " AFTER}, PRECONDITION_NOT_MODIFIED, PRECONDITION_HOLDS},
        {{"If-Modified-Since: " BEFORE}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Modified-Since: 784111777"}, PRECONDITION_HOLDS, PRECONDITION_HOLDS},
        {{"If-Modified-Since: " SAME, "If-Modified-Since: " SAME},
         PRECONDITION_HOLDS,
         PRECONDITION_HOLDS},
        /* If-None-Match is heard, then this is not */
        {{"If-None-Match: \"two\"", "If-Modified-Since: " SAME},
         PRECONDITION_HOLDS,
         PRECONDITION_HOLDS},
        /* the first step fails, whatever comes behind it */
        {{"If-Match: \"two\"", "If-None-Match: \"one\""}, PRECONDITION_FAILED, PRECONDITION_FAILED},
        {{"If-Match: \"one\"", "If-None-Match: \"one\""},
         PRECONDITION_NOT_MODIFIED,
         PRECONDITION_FAILED},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        make_request(METHOD_GET, cases[i].lines);
        ck_assert_msg(precondition_check(&request, &validators) == cases[i].reading, "GET: %s",
                      cases[i].lines[0]);
        request.method = METHOD_HEAD;
        ck_assert_msg(precondition_check(&request, &validators) == cases[i].reading, "HEAD: %s",
                      cases[i].lines[0]);
        request.method = METHOD_PUT;
        ck_assert_msg(precondition_check(&request, &validators) == cases[i].writing, "PUT: %s",
                      cases[i].lines[0]);
    }
}
END_TEST

START_TEST(what_does_not_exist_matches_nothing)
{
    static const char *const any[] = {"If-Match: *", NULL}, *const none[] = {"If-None-Match: *",
                                                                             NULL};
    static const char *const since[] = {"If-Unmodified-Since: " BEFORE, NULL};

    make_request(METHOD_PUT, any);
    ck_assert_int_eq(precondition_check(&request, NULL), PRECONDITION_FAILED);
    make_request(METHOD_PUT, none);
    ck_assert_int_eq(precondition_check(&request, NULL), PRECONDITION_HOLDS);
    make_request(METHOD_PUT, since);
    ck_assert_int_eq(precondition_check(&request, NULL), PRECONDITION_HOLDS);
}
END_TEST

START_TEST(if_range_wants_a_strong_validator)
{
    static const struct {
        const char *lines[3];
        bool counts;
    } cases[] = {
        {{NULL}, true},
        {{"If-Range: \"one\""}, true},
        {{"If-Range: \"two\""}, false},
        {{"If-Range: W/\"one\""}, false},
        {{"If-Range: " SAME}, true},
        {{"If-Range: " BEFORE}, false},
        {{"If-Range: " AFTER}, false},
        {{"If-Range: nonsense"}, false},
    };
    struct validators now = {"\"one\"", time(NULL)};
    char date[HTTP_DATE_SIZE], line[64];
    const char *const lines[] = {line, NULL};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        make_request(METHOD_GET, cases[i].lines);
        ck_assert_msg(precondition_range_counts(&request, &validators) == cases[i].counts, "%s",
                      cases[i].lines[0]);
    }
    /* Within this second it may change again. */
    clock_http_date(now.modified, date);
    snprintf(line, sizeof line, "If-Range: %s", date);
    make_request(METHOD_GET, lines);
    ck_assert(!precondition_range_counts(&request, &now));
}
END_TEST

START_TEST(codings_go_by_their_weights)
{
    static const struct {
        const char *lines[3];
        const char *expected;
    } cases[] = {
        {{NULL}, ""},
        {{"Accept-Encoding: "}, ""},
        {{"Accept-Encoding: gzip"}, "gzip"},
        {{"Accept-Encoding: GZip"}, "gzip"},
        {{"Accept-Encoding: x-gzip"}, "gzip"},
        {{"Accept-Encoding: gzip, deflate, br, zstd"}, "br zstd gzip"},
        {{"Accept-Encoding: gzip;q=1.0, br;q=0.5"}, "gzip br"},
        {{"Accept-Encoding: gzip;q=0.501, br;q=0.5, zstd;q=0.502"}, "zstd gzip br"},
        {{"Accept-Encoding: gzip ; q=0.5 , br"}, "br gzip"},
        {{"Accept-Encoding: gzip;Q=0"}, ""},
        {{"Accept-Encoding: gzip;q=0.000"}, ""},
        {{"Accept-Encoding: gzip;q=0, br"}, "br"},
        {{"Accept-Encoding: *"}, "br zstd gzip"},
        {{"Accept-Encoding: *;q=0"}, ""},
        {{"Accept-Encoding: *, br;q=0"}, "zstd gzip"},
        {{"Accept-Encoding: gzip, *;q=0"}, "gzip"},
        {{"Accept-Encoding: identity"}, ""},
        {{"Accept-Encoding: identity, gzip;q=0.5"}, ""},
        {{"Accept-Encoding: identity;q=0.5, gzip;q=0.5"}, "gzip"},
        {{"Accept-Encoding: identity;q=0.3, gzip;q=0.5"}, "gzip"},
        {{"Accept-Encoding: identity;q=0, gzip"}, "gzip"},
        {{"Accept-Encoding: gzip", "accept-encoding: br"}, "br gzip"},
        {{"Accept-Encoding: gzip2, xgzip, brr"}, ""},
        {{"Accept-Encoding: gzip;q=x"}, ""},
        {{"Accept-Encoding: gzip;q=2"}, ""},
        {{"Accept-Encoding: gzip;q=1.9"}, "gzip"},
        {{"Accept-Encoding: ,,gzip,,"}, "gzip"},
        {{"Accept-Encoding: gzip;"}, "gzip"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum content_coding order[CODING_COUNT];
        struct strbuf got = {0};
        unsigned n;

        make_request(METHOD_GET, cases[i].lines);
        n = content_coding_order(&request, order);
        for (unsigned k = 0; k < n; k++)
            strbuf_addf(&got, "%s%s", k ? " " : "", content_codings[order[k]].name);
        ck_assert_msg(!strcmp(strbuf_cstr(&got), cases[i].expected), "%s: %s, not %s",
                      cases[i].lines[0], strbuf_cstr(&got), cases[i].expected);
        strbuf_free(&got);
    }
}
END_TEST

/* ---- media types ----------------------------------------------------------------------------- */

START_TEST(types_come_from_a_file)
{
    const char *path = support_write("mime.types", "# a comment\n"
                                                   "text/html\thtml htm # another\n"
                                                   "image/png  png\r\n"
                                                   "no-type xyz\n"
                                                   "text/<b> evil\n"
                                                   "application/empty\n"
                                                   "\n"
                                                   "text/x-last last");
    static const struct {
        const char *name, *type;
    } cases[] = {
        {"a.html", "text/html"},
        {"a.HTM", "text/html"},
        {"b.c/a.png", "image/png"},
        {"a.tar.png", "image/png"},
        {"x.last", "text/x-last"},
        {"a.xyz", NULL},
        {"a.evil", NULL},
        {"a.empty", NULL},
        {"a", NULL},
        {"a.", NULL},
        {".html", NULL},
        {"a.png/b", NULL},
        {"a.another", NULL},
        {"", NULL},
    };
    struct mime_table *table = NULL;

    ck_assert_int_eq(mime_load(path, &table), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *type = mime_find(table, cases[i].name);

        ck_assert_msg(cases[i].type ? type && !strcmp(type, cases[i].type) : !type, "%s: %s",
                      cases[i].name, type ? type : "none");
    }
    mime_free(table);
    ck_assert_int_eq(mime_load(support_path("missing"), &table), -ENOENT);
    ck_assert_int_eq(mime_load(support_path(""), &table), -EISDIR);
    ck_assert_int_eq(mime_load(support_write("empty", ""), &table), 0);
    ck_assert_ptr_null(mime_find(table, "a.html"));
    mime_free(table);
}
END_TEST

START_TEST(some_types_are_built_in)
{
    struct mime_table *table = mime_builtin();

    ck_assert_ptr_nonnull(table);
    ck_assert_str_eq(mime_find(table, "index.html"), "text/html");
    ck_assert_str_eq(mime_find(table, "a.js"), "text/javascript");
    ck_assert_str_eq(mime_find(table, "a.woff2"), "font/woff2");
    ck_assert_str_eq(mime_find(table, "a.jpg"), "image/jpeg");
    mime_free(table);
    mime_free(NULL);
}
END_TEST

/* ---- dates and names ------------------------------------------------------------------------- */

START_TEST(dates_of_all_three_forms_are_read)
{
    static const struct {
        const char *text;
        time_t when; /* -1: it is no date */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nob 1994 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"784111777", -1},
        {"", -1},
        {",", -1},
    };
    char text[HTTP_DATE_SIZE];
    time_t when;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool good = clock_parse_http_date(cases[i].text, &when);

        ck_assert_msg(good == (cases[i].when >= 0) && (!good || when == cases[i].when), "%s: %lld",
                      cases[i].text, (long long)when);
    }
    for (time_t t = 0; t < INT64_C(8000000000); t += 86400 * 29 + 12345) {
        clock_http_date(t, text);
        ck_assert(clock_parse_http_date(text, &when) && when == t);
    }
    /* A year of two digits is within the last fifty or the next fifty. */
    ck_assert(clock_parse_http_date("Friday, 01-Jan-99 00:00:00 GMT", &when));
    ck_assert_int_eq(when, 915148800);
}
END_TEST

START_TEST(names_become_parts_of_uris)
{
    struct strbuf out = {0};

    uri_path_add(&out, "/a b/\"<'>&;?#%\xff\r\n~:", 19);
    ck_assert_strbuf(&out, "/a%20b/%22%3C%27%3E%26%3B%3F%23%25%FF%0D%0A~%3A");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ranges_are_read_as_the_rfc_says,
        preconditions_go_by_their_order,
        what_does_not_exist_matches_nothing,
        if_range_wants_a_strong_validator,
        codings_go_by_their_weights,
        types_come_from_a_file,
        some_types_are_built_in,
        dates_of_all_three_forms_are_read,
        names_become_parts_of_uris,
    };

    return support_run("file_rules", tests, COUNT_OF(tests));
}
