#include "guard.h"
#include "guard_cases.h"
#include "guard_transcript.h"
#include "support.h"

#include <string.h>

enum { SINGLE_CUTS_MAX_LEN = 4096, RANDOM_CUTS = 20, RANDOM_STREAMS = 3000 };

static const struct guard_limits limits = {
    .max_head = 4096,
    .max_fields = GUARD_FIELDS_MAX,
    .max_trailer = 64,
    .max_body = 1000,
};

/* What guard_cut_random takes. */
static uint64_t random_state(const char *test)
{
    uint64_t state = support_random_new(test).state;

    return state ? state : 1;
}

static void expect_same(const char *name, const struct guard_transcript *a,
                        const struct guard_transcript *b)
{
    ck_assert_msg(a->events.len == b->events.len &&
                      !memcmp(strbuf_cstr(&a->events), strbuf_cstr(&b->events), a->events.len),
                  "%s:\n  whole: %s\n  cut:   %s", name, strbuf_cstr(&a->events),
                  strbuf_cstr(&b->events));
    ck_assert_msg(a->fault == b->fault && a->used == b->used && a->phase == b->phase,
                  "%s: fault %d at %zu, cut: fault %d at %zu", name, (int)a->fault, a->used,
                  (int)b->fault, b->used);
}

/* The same events whole, byte by byte, with one cut anywhere, and in random pieces. */
static void expect_same_in_pieces(const char *name, const struct guard_limits *with,
                                  const char *bytes, size_t len, uint64_t *random)
{
    struct guard_transcript whole, cut;

    guard_transcribe(&whole, with, bytes, len, true, guard_cut_none, NULL);
    guard_transcribe(&cut, with, bytes, len, true, guard_cut_bytes, NULL);
    expect_same(name, &whole, &cut);
    guard_transcript_free(&cut);
    for (size_t i = 1; len <= SINGLE_CUTS_MAX_LEN && i < len; i++) {
        size_t at = i;

        guard_transcribe(&cut, with, bytes, len, true, guard_cut_once, &at);
        expect_same(name, &whole, &cut);
        guard_transcript_free(&cut);
    }
    for (int i = 0; i < RANDOM_CUTS; i++) {
        guard_transcribe(&cut, with, bytes, len, true, guard_cut_random, random);
        expect_same(name, &whole, &cut);
        guard_transcript_free(&cut);
    }
    guard_transcript_free(&whole);
}

static void expect_fault(const struct guard_limits *with, const char *bytes, size_t len,
                         unsigned status, enum guard_fault_id fault)
{
    struct guard_transcript t;
    uint64_t random = random_state("limits");

    guard_transcribe(&t, with, bytes, len, false, guard_cut_none, NULL);
    ck_assert_uint_eq(t.status, status);
    ck_assert_int_eq(t.fault, fault);
    guard_transcript_free(&t);
    expect_same_in_pieces("long", with, bytes, len, &random);
}

START_TEST(tables_hold)
{
    const struct guard_case *c;
    size_t n = 0;

    for (; (c = guard_case_nth(n)); n++) {
        struct guard_transcript t;

        guard_transcribe(&t, &limits, c->bytes, c->len, false, guard_cut_none, NULL);
        ck_assert_msg(t.events.len == c->events_len &&
                          !memcmp(strbuf_cstr(&t.events), c->events, c->events_len),
                      "%s, %s:\n  want: %s\n  got:  %s", c->section, c->name, c->events,
                      strbuf_cstr(&t.events));
        ck_assert_msg(t.status == c->status && t.fault == c->fault,
                      "%s, %s: want %u by fault %d, got %u by fault %d", c->section, c->name,
                      c->status, (int)c->fault, t.status, (int)t.fault);
        ck_assert_int_eq(t.phase == GUARD_DEAD, t.fault != GUARD_OK);
        guard_transcript_free(&t);
    }
}
END_TEST

START_TEST(every_fault_has_a_row_and_a_case)
{
    /* Those that need long input have tests of their own. */
    bool seen[GUARD_FAULT_COUNT] = {
        [GUARD_OK] = true,          [GUARD_LINE_LONG] = true,       [GUARD_HEAD_LONG] = true,
        [GUARD_FIELD_COUNT] = true, [GUARD_CHUNK_LINE_LONG] = true, [GUARD_CHUNK_WASTE] = true,
        [GUARD_NO_MEMORY] = true,
    };
    const struct guard_case *c;

    for (size_t i = 0; (c = guard_case_nth(i)); i++)
        seen[c->fault] = true;
    for (int i = 1; i < GUARD_FAULT_COUNT; i++) {
        const struct guard_fault *fault = guard_fault((enum guard_fault_id)i);

        ck_assert_msg(seen[i], "fault %d has no case", i);
        ck_assert_msg(fault->status >= 400 && fault->reason, "fault %d", i);
        ck_assert_int_eq(fault->reason[strlen(fault->reason) - 1], '.');
    }
}
END_TEST

START_TEST(cuts_make_no_difference)
{
    const struct guard_case *c;
    uint64_t random = random_state("cuts_make_no_difference");

    for (size_t i = 0; (c = guard_case_nth(i)); i++)
        expect_same_in_pieces(c->name, &limits, c->bytes, c->len, &random);
}
END_TEST

/* Whole requests, one behind the other, mean what they mean alone. */
START_TEST(streams_are_the_sum_of_their_requests)
{
    uint64_t random = random_state("streams_are_the_sum_of_their_requests");
    size_t n = 0;

    while (guard_case_nth(n))
        n++;
    ck_assert_uint_gt(n, 0);
    for (int i = 0; i < RANDOM_STREAMS; i++) {
        struct strbuf bytes = {0}, events = {0};
        size_t wanted = 1 + guard_random(&random) % 12, requests = 0;
        struct guard_transcript t;

        while (wanted) {
            const struct guard_case *c = guard_case_nth(guard_random(&random) % n);

            guard_transcribe(&t, &limits, c->bytes, c->len, true, guard_cut_none, NULL);
            if (t.requests && !t.fault && t.phase == GUARD_IDLE) {
                strbuf_add(&bytes, c->bytes, c->len);
                strbuf_add(&events, strbuf_cstr(&t.events), t.events.len);
                requests += t.requests;
                wanted--;
            }
            guard_transcript_free(&t);
        }
        guard_transcribe(&t, &limits, strbuf_cstr(&bytes), bytes.len, true, guard_cut_random,
                         &random);
        ck_assert_uint_eq(t.requests, requests);
        ck_assert_uint_eq(t.fault, GUARD_OK);
        ck_assert_uint_eq(t.events.len, events.len);
        ck_assert_mem_eq(strbuf_cstr(&t.events), strbuf_cstr(&events), events.len);
        guard_transcript_free(&t);
        strbuf_free(&bytes);
        strbuf_free(&events);
    }
}
END_TEST

/* A fault is told at the byte that makes it certain, not at the end of the line or head. */
START_TEST(faults_are_told_early)
{
    static const struct {
        const char *bytes;
        enum guard_fault_id fault;
    } early[] = {
        {"\x16", GUARD_METHOD_SYNTAX},
        {"hello\r", GUARD_METHOD_SYNTAX},
        {"{", GUARD_METHOD_SYNTAX},
        {"GET  ", GUARD_TARGET_EMPTY},
        {"GET /\r", GUARD_VERSION_MISSING},
        {"GET /\n", GUARD_BARE_LF},
        {"GET /\x80", GUARD_TARGET_BYTE},
        {"GET /#", GUARD_TARGET_FRAGMENT},
        {"GET /%0g", GUARD_TARGET_ESCAPE},
        {"GET /%00", GUARD_TARGET_NUL},
        {"GET / HTTP/2", GUARD_VERSION_MAJOR},
        {"PRI * HTTP/2", GUARD_VERSION_MAJOR},
        {"GET / HTTP/1.1 ", GUARD_VERSION_SYNTAX},
        {"BREW / HTTP/1.1\r\n", GUARD_METHOD_UNKNOWN},
        {"TRACE / HTTP/1.1\r\n", GUARD_METHOD_TRACE},
        {"GET * HTTP/1.1\r\n", GUARD_TARGET_ASTERISK},
        {"GET a HTTP/1.1\r\n", GUARD_TARGET_FORM},
        {GET " ", GUARD_FIELD_FOLDED},
        {GET ":", GUARD_NAME_EMPTY},
        {GET "Host ", GUARD_NAME_BLANK},
        {GET "Host: a\rb", GUARD_BARE_CR},
        {GET "Host: a b\r\n", GUARD_HOST_SYNTAX},
        {POST "Content-Length: x\r\n", GUARD_LENGTH_SYNTAX},
        {POST "Transfer-Encoding: x\r\n", GUARD_CODING_UNKNOWN},
        {POST "Content-Length: 1001\r\n\r\n", GUARD_BODY_LONG},
        {CHUNKED "x", GUARD_CHUNK_SIZE},
        {CHUNKED "3e9\r", GUARD_BODY_LONG},
        {CHUNKED "1\r\nab", GUARD_CHUNK_END},
    };

    for (size_t i = 0; i < COUNT_OF(early); i++) {
        size_t len = strlen(early[i].bytes);
        struct guard_transcript t;

        guard_transcribe(&t, &limits, early[i].bytes, len, false, guard_cut_none, NULL);
        ck_assert_msg(t.fault == early[i].fault, "%s: fault %d", early[i].bytes, (int)t.fault);
        ck_assert_uint_eq(t.used, len);
        guard_transcript_free(&t);
        /* A body that is announced too long is refused without a further byte. */
        if (early[i].fault == GUARD_BODY_LONG)
            continue;
        guard_transcribe(&t, &limits, early[i].bytes, len - 1, false, guard_cut_none, NULL);
        ck_assert_msg(t.fault == GUARD_OK, "%s: too early", early[i].bytes);
        guard_transcript_free(&t);
    }
}
END_TEST

/* A head of exactly `len` bytes. */
static void build_head(struct strbuf *out, size_t len)
{
    strbuf_adds(out, GET HOST "X: ");
    while (out->len < len - 4)
        strbuf_addc(out, 'x');
    strbuf_adds(out, "\r\n\r\n");
}

START_TEST(heads_are_limited)
{
    struct guard_limits with = limits;
    struct strbuf head = {0};

    build_head(&head, 500);
    ck_assert_uint_eq(head.len, 500);
    with.max_head = 500;
    expect_fault(&with, strbuf_cstr(&head), head.len, 0, GUARD_OK);
    with.max_head = 499;
    expect_fault(&with, strbuf_cstr(&head), head.len, 431, GUARD_HEAD_LONG);
    with.max_head = 16;
    expect_fault(&with, strbuf_cstr(&head), head.len, 431, GUARD_HEAD_LONG);
    with.max_head = 15;
    expect_fault(&with, strbuf_cstr(&head), head.len, 414, GUARD_LINE_LONG);
    with.max_head = 0;
    expect_fault(&with, strbuf_cstr(&head), head.len, 414, GUARD_LINE_LONG);
    with.max_head = SIZE_MAX;
    expect_fault(&with, strbuf_cstr(&head), head.len, 0, GUARD_OK);
    head.len = 0;
    build_head(&head, 4000);
    expect_fault(&limits, strbuf_cstr(&head), head.len, 0, GUARD_OK);
    strbuf_free(&head);
}
END_TEST

START_TEST(fields_are_counted)
{
    struct guard_limits with = limits;
    struct strbuf head = {0};

    strbuf_adds(&head, GET HOST);
    for (int i = 1; i < 100; i++)
        strbuf_addf(&head, "X-%d: %d\r\n", i, i);
    strbuf_adds(&head, "\r\n");
    expect_fault(&with, strbuf_cstr(&head), head.len, 0, GUARD_OK);
    with.max_fields = 99;
    expect_fault(&with, strbuf_cstr(&head), head.len, 431, GUARD_FIELD_COUNT);
    head.len -= 2;
    strbuf_adds(&head, "Y:\r\n\r\n");
    with.max_fields = 1000;
    expect_fault(&with, strbuf_cstr(&head), head.len, 431, GUARD_FIELD_COUNT);
    with.max_fields = 0;
    expect_fault(&with, strbuf_cstr(&head), head.len, 431, GUARD_FIELD_COUNT);
    strbuf_free(&head);
}
END_TEST

START_TEST(chunk_lines_are_limited)
{
    struct strbuf bytes = {0};
    size_t start;

    strbuf_adds(&bytes, CHUNKED);
    start = bytes.len;
    strbuf_adds(&bytes, "5;");
    while (bytes.len < start + GUARD_CHUNK_LINE_MAX)
        strbuf_addc(&bytes, 'x');
    strbuf_adds(&bytes, "\r\nhello\r\n0\r\n\r\n");
    expect_fault(&limits, strbuf_cstr(&bytes), bytes.len, 0, GUARD_OK);
    bytes.len = start;
    strbuf_adds(&bytes, "5;");
    while (bytes.len < start + GUARD_CHUNK_LINE_MAX + 1)
        strbuf_addc(&bytes, 'x');
    strbuf_adds(&bytes, "\r\nhello\r\n0\r\n\r\n");
    expect_fault(&limits, strbuf_cstr(&bytes), bytes.len, 400, GUARD_CHUNK_LINE_LONG);
    bytes.len = start;
    for (int i = 0; i < 300; i++)
        strbuf_addc(&bytes, '0');
    expect_fault(&limits, strbuf_cstr(&bytes), bytes.len, 400, GUARD_CHUNK_LINE_LONG);
    strbuf_free(&bytes);
}
END_TEST

static void build_chunks(struct strbuf *out, int n, const char *chunk)
{
    out->len = 0;
    strbuf_adds(out, CHUNKED);
    for (int i = 0; i < n; i++)
        strbuf_adds(out, chunk);
    strbuf_adds(out, "0\r\n\r\n");
}

START_TEST(framing_has_a_budget)
{
    struct guard_limits with = limits;
    struct strbuf bytes = {0};

    with.max_body = 1 << 20;
    build_chunks(&bytes, 10000, "1\r\nx\r\n");
    expect_fault(&with, strbuf_cstr(&bytes), bytes.len, 0, GUARD_OK);
    build_chunks(&bytes, 20000, "1\r\nx\r\n");
    expect_fault(&with, strbuf_cstr(&bytes), bytes.len, 400, GUARD_CHUNK_WASTE);
    build_chunks(&bytes, 50000, "2\r\nxx\r\n");
    expect_fault(&with, strbuf_cstr(&bytes), bytes.len, 0, GUARD_OK);
    build_chunks(&bytes, 1000, "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n");
    expect_fault(&with, strbuf_cstr(&bytes), bytes.len, 400, GUARD_CHUNK_WASTE);
    strbuf_free(&bytes);
}
END_TEST

START_TEST(bodies_are_limited)
{
    static const char *const starts[] = {POST "Content-Length: 1000\r\n\r\n", CHUNKED "3e8\r\n",
                                         CHUNKED "1\r\nx\r\n3e7\r\n"};

    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        struct guard_limits with = limits;
        struct strbuf bytes = {0};

        strbuf_adds(&bytes, starts[i]);
        for (int n = i == 2 ? 999 : 1000; n; n--)
            strbuf_addc(&bytes, 'x');
        if (i)
            strbuf_adds(&bytes, "\r\n0\r\n\r\n");
        with.max_body = 1000;
        expect_fault(&with, strbuf_cstr(&bytes), bytes.len, 0, GUARD_OK);
        with.max_body = 999;
        expect_fault(&with, strbuf_cstr(&bytes), bytes.len, 413, GUARD_BODY_LONG);
        strbuf_free(&bytes);
    }
}
END_TEST

START_TEST(the_body_limit_can_follow_the_head)
{
    static const char request[] = POST "Content-Length: 2000\r\n\r\n";
    struct guard_event event;
    struct guard guard;

    guard_init(&guard, &limits);
    ck_assert_uint_eq(guard_feed(&guard, request, sizeof request - 1, &event), sizeof request - 1);
    ck_assert_int_eq(event.type, GUARD_HEAD);
    guard_set_max_body(&guard, 2000);
    guard_feed(&guard, NULL, 0, &event);
    ck_assert_int_eq(event.type, GUARD_MORE);
    ck_assert_int_eq(guard_phase(&guard), GUARD_IN_BODY);
    guard_clear(&guard);

    guard_feed(&guard, request, sizeof request - 1, &event);
    guard_set_max_body(&guard, 1999);
    guard_feed(&guard, NULL, 0, &event);
    ck_assert_int_eq(event.type, GUARD_FAULT);
    ck_assert_uint_eq(event.fault->status, 413);
    guard_clear(&guard);
}
END_TEST

START_TEST(phases_follow_the_bytes)
{
    static const char request[] = "\r\n" POST "Content-Length: 1\r\n\r\nx";
    struct guard_event event;
    struct guard guard;

    guard_init(&guard, &limits);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        enum guard_phase wanted = i < 2 ? GUARD_IDLE : GUARD_IN_HEAD;

        if (i == sizeof request - 2)
            break;
        guard_feed(&guard, request + i, 1, &event);
        if (event.type == GUARD_HEAD)
            wanted = GUARD_IN_BODY;
        ck_assert_int_eq(guard_phase(&guard), wanted);
    }
    ck_assert_int_eq(event.type, GUARD_HEAD);
    guard_feed(&guard, "x", 1, &event);
    ck_assert_int_eq(event.type, GUARD_BODY);
    guard_feed(&guard, NULL, 0, &event);
    ck_assert_int_eq(event.type, GUARD_END);
    ck_assert_int_eq(guard_phase(&guard), GUARD_IDLE);
    guard_clear(&guard);
}
END_TEST

START_TEST(the_content_that_must_come_is_known)
{
    static const struct {
        const char *bytes;
        uint64_t left;
    } rows[] = {
        {"", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 9},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234", 5},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1234", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n", 9},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n1234", 5},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234", 0},
        {"BAD\r\n", 0},
    };
    static struct guard_event event;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t used = 0, len = strlen(rows[i].bytes);
        struct guard guard;

        guard_init(&guard, &limits);
        do
            used += guard_feed(&guard, rows[i].bytes + used, len - used, &event);
        while (event.type != GUARD_MORE && event.type != GUARD_FAULT);
        ck_assert_msg(guard_content_left(&guard) == rows[i].left, "%s: %llu", rows[i].bytes,
                      (unsigned long long)guard_content_left(&guard));
        guard_clear(&guard);
    }
}
END_TEST

START_TEST(a_refused_head_tells_what_is_known)
{
    static const char request[] = "PUT http://b/c HTTP/1.0\r\nX : y\r\n\r\n";
    struct guard_event event;
    struct guard guard;

    guard_init(&guard, &limits);
    guard_feed(&guard, request, sizeof request - 1, &event);
    ck_assert_int_eq(event.type, GUARD_FAULT);
    ck_assert_ptr_nonnull(event.head);
    ck_assert_int_eq(event.head->method, METHOD_PUT);
    ck_assert_int_eq(event.head->minor, 0);
    ck_assert_mem_eq(guard_text(event.head, event.head->target), "http://b/c", 10);
    guard_clear(&guard);

    guard_feed(&guard, "GET / HTTP/9", 12, &event);
    ck_assert_int_eq(event.type, GUARD_FAULT);
    ck_assert_ptr_null(event.head);
    guard_clear(&guard);
}
END_TEST

START_TEST(fields_can_be_found_by_name)
{
    static const char request[] = GET "X: 1\r\nhost: a\r\nx: 2\r\n\r\n";
    const struct guard_head *head;
    const struct guard_field *field;
    static struct guard_event event;
    struct guard guard;

    guard_init(&guard, &limits);
    guard_feed(&guard, request, sizeof request - 1, &event);
    head = event.head;
    field = guard_head_find(head, "X");
    ck_assert_ptr_nonnull(field);
    ck_assert_mem_eq(guard_text(head, field->value), "1\r\n", 3);
    ck_assert_uint_eq(field->value.len, 1);
    ck_assert_ptr_eq(guard_head_find(head, "HOST"), &head->fields[1]);
    ck_assert_ptr_null(guard_head_find(head, "Ho"));
    guard_clear(&guard);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tables_hold,
        every_fault_has_a_row_and_a_case,
        cuts_make_no_difference,
        streams_are_the_sum_of_their_requests,
        faults_are_told_early,
        heads_are_limited,
        fields_are_counted,
        chunk_lines_are_limited,
        framing_has_a_budget,
        bodies_are_limited,
        the_body_limit_can_follow_the_head,
        phases_follow_the_bytes,
        the_content_that_must_come_is_known,
        a_refused_head_tells_what_is_known,
        fields_can_be_found_by_name,
    };

    return support_run("guard", tests, COUNT_OF(tests));
}
