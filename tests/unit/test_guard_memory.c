/* What the guard costs: memory in pieces, none in one piece, and time linear in the bytes. */
#include "guard.h"
#include "guard_cases.h"
#include "guard_transcript.h"
#include "support.h"

#include <string.h>

static const struct guard_limits limits = {
    .max_head = 4096,
    .max_fields = GUARD_FIELDS_MAX,
    .max_trailer = 64,
    .max_body = 1000,
};

START_TEST(an_idle_guard_is_small)
{
    ck_assert_uint_lt(sizeof(struct guard), 200);
}
END_TEST

START_TEST(whole_heads_allocate_nothing)
{
    const struct guard_case *c;

    guard_memory = (struct guard_memory){0};
    guard_set_allocator(guard_memory_resize);
    for (size_t i = 0; (c = guard_case_nth(i)); i++) {
        struct guard_transcript t;

        guard_transcribe(&t, &limits, c->bytes, c->len, false, guard_cut_none, NULL);
        if (t.requests && t.phase == GUARD_IDLE)
            ck_assert_msg(!guard_memory.calls, "%s", c->name);
        guard_memory.calls = 0;
        ck_assert_uint_eq(guard_memory.live, 0);
        guard_transcript_free(&t);
    }
    guard_set_allocator(NULL);
}
END_TEST

/* What a connection may hold, however its bytes come. */
static size_t memory_bound(const struct guard_limits *with)
{
    return with->max_head + GUARD_FIELDS_MAX * sizeof(struct guard_field) + 512;
}

START_TEST(memory_is_bounded)
{
    const struct guard_case *c;
    uint64_t random = support_random_new("memory_is_bounded").state | 1;

    guard_memory = (struct guard_memory){0};
    guard_set_allocator(guard_memory_resize);
    for (size_t i = 0; (c = guard_case_nth(i)); i++) {
        struct guard_transcript t;

        guard_transcribe(&t, &limits, c->bytes, c->len, false, guard_cut_bytes, NULL);
        guard_transcript_free(&t);
        guard_transcribe(&t, &limits, c->bytes, c->len, false, guard_cut_random, &random);
        guard_transcript_free(&t);
        ck_assert_uint_eq(guard_memory.live, 0);
    }
    ck_assert_uint_le(guard_memory.peak, memory_bound(&limits));
    guard_set_allocator(NULL);
}
END_TEST

START_TEST(nothing_is_held_while_a_request_is_answered)
{
    static const char request[] = GET HOST "\r\n";
    struct guard_event event;
    struct guard guard;

    guard_memory = (struct guard_memory){0};
    guard_set_allocator(guard_memory_resize);
    guard_init(&guard, &limits);
    for (size_t i = 0; i < sizeof request - 1; i++)
        guard_feed(&guard, request + i, 1, &event);
    ck_assert_int_eq(event.type, GUARD_HEAD);
    ck_assert_uint_gt(guard_memory.live, 0);
    guard_feed(&guard, NULL, 0, &event);
    ck_assert_int_eq(event.type, GUARD_END);
    ck_assert_uint_eq(guard_memory.live, 0);
    guard_set_allocator(NULL);
}
END_TEST

/* As when a reload changes max_header_size while a head is coming. */
START_TEST(limits_may_change_in_the_middle_of_a_head)
{
    static const char head[] = GET HOST "X: 0123456789\r\n\r\n";
    const size_t half = sizeof head / 2;
    struct guard_event event;

    for (size_t max = 0; max <= sizeof head; max++) {
        struct guard_limits changing = limits;
        struct guard guard;

        guard_init(&guard, &changing);
        ck_assert_uint_eq(guard_feed(&guard, head, half, &event), half);
        ck_assert_int_eq(event.type, GUARD_MORE);
        changing.max_head = max;
        guard_feed(&guard, head + half, sizeof head - 1 - half, &event);
        ck_assert_int_eq(event.type, max < sizeof head - 1 ? GUARD_FAULT : GUARD_HEAD);
        if (event.type == GUARD_FAULT)
            ck_assert_uint_eq(event.fault->status, 431);
        guard_clear(&guard);
    }
}
END_TEST

/* A scanner that began again with each piece would need 10^12 steps for this head, an allocator
 * that grew by each piece would copy as much. */
START_TEST(bytes_one_by_one_take_linear_time)
{
    struct guard_limits with = limits;
    struct strbuf head = {0};
    struct guard_transcript t;

    with.max_head = 1 << 20;
    strbuf_adds(&head, GET HOST "X: ");
    while (head.len < with.max_head - 4)
        strbuf_addc(&head, 'x');
    strbuf_adds(&head, "\r\n\r\n");
    guard_memory = (struct guard_memory){0};
    guard_set_allocator(guard_memory_resize);
    guard_transcribe(&t, &with, strbuf_cstr(&head), head.len, false, guard_cut_bytes, NULL);
    ck_assert_uint_eq(t.requests, 1);
    guard_transcript_free(&t);
    ck_assert_uint_le(guard_memory.moved, 2 * with.max_head);
    ck_assert_uint_le(guard_memory.peak, memory_bound(&with));
    ck_assert_uint_le(guard_memory.calls, 20);
    guard_set_allocator(NULL);
    strbuf_free(&head);
}
END_TEST

START_TEST(without_memory_there_is_503)
{
    struct strbuf head = {0};

    strbuf_adds(&head, GET HOST);
    for (int i = 1; i < 100; i++)
        strbuf_addf(&head, "X-%d: 0123456789\r\n", i);
    strbuf_adds(&head, "\r\n");
    guard_set_allocator(guard_memory_resize);
    for (size_t n = 1;; n++) {
        struct guard_transcript t;

        guard_memory = (struct guard_memory){.fail_at = n};
        guard_transcribe(&t, &limits, strbuf_cstr(&head), head.len, false, guard_cut_bytes, NULL);
        ck_assert_uint_eq(guard_memory.live, 0);
        if (guard_memory.calls < n) {
            ck_assert_uint_gt(n, 5);
            ck_assert_uint_eq(t.requests, 1);
            guard_transcript_free(&t);
            break;
        }
        ck_assert_uint_eq(t.status, 503);
        ck_assert_int_eq(t.fault, GUARD_NO_MEMORY);
        guard_transcript_free(&t);
    }
    guard_set_allocator(NULL);
    strbuf_free(&head);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_idle_guard_is_small,
        whole_heads_allocate_nothing,
        memory_is_bounded,
        nothing_is_held_while_a_request_is_answered,
        limits_may_change_in_the_middle_of_a_head,
        bytes_one_by_one_take_linear_time,
        without_memory_there_is_503,
    };

    return support_run("guard_memory", tests, COUNT_OF(tests));
}
