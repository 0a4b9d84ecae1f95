/* Feeds target_path any bytes and compares what it makes of them with a reference that goes step by
 * step, as RFC 3986 tells it.  The same bytes go through the guard as the target of a request: path and
 * query must be where they stand in it, and the path must be one to target_path, too. */
#include "guard.h"
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line) __attribute__((noreturn));

static void broken(const char *condition, int line)
{
    fprintf(stderr, "fuzz_target.c:%d: does not hold: %s\n", line, condition);
    abort();
}

/* ---- the reference --------------------------------------------------------------------------- */

/* Appends the byte that stands at `*at` or is encoded there.  False: neither. */
static bool decode_one(const char *text, size_t len, size_t *at, struct strbuf *out)
{
    char digits[3] = "", *end;
    long value;

    if (text[*at] != '%') {
        strbuf_addc(out, text[(*at)++]);
        return true;
    }
    if (len - *at < 3)
        return false;
    memcpy(digits, text + *at + 1, 2);
    value = strtol(digits, &end, 16);
    if (strspn(digits, "0123456789abcdefABCDEF") != 2 || !value)
        return false;
    strbuf_addc(out, (char)value);
    *at += 3;
    return true;
}

/* Joins the segments of a decoded path, without those that are empty or dots. */
static void join(const char *text, size_t len, struct strbuf *out)
{
    size_t at = 0;

    strbuf_addc(out, '/');
    while (at < len) {
        const char *slash = memchr(text + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - text) - at : len - at;

        if (n == 2 && !memcmp(text + at, "..", 2)) {
            const char *parent;

            out->len -= out->len > 1; /* the slash behind the last segment */
            parent = memrchr(out->data, '/', out->len);
            out->len = parent ? (size_t)(parent - out->data) + 1 : out->len;
        } else if (n && !(n == 1 && text[at] == '.')) {
            strbuf_add(out, text + at, n);
            strbuf_add(out, "/", slash ? 1 : 0);
        }
        at += n + 1;
    }
}

static int reference(const char *raw, size_t len, struct strbuf *path)
{
    struct strbuf decoded = {0};
    bool good = len && *raw == '/' && !memchr(raw, '\0', len);

    for (size_t at = 0; at < len && good;)
        good = decode_one(raw, len, &at, &decoded);
    if (good)
        join(strbuf_cstr(&decoded), decoded.len, path);
    strbuf_free(&decoded);
    return good ? 0 : -EINVAL;
}

/* ---- what must hold -------------------------------------------------------------------------- */

/* A path that is clean stays as it is, however it is written. */
static void check_clean(struct slice path)
{
    struct strbuf encoded = {0};
    struct slice again;
    struct arena arena;

    for (size_t i = 0; i < path.len; i++)
        strbuf_addf(&encoded, i ? "%%%02x" : "%c", (unsigned char)path.data[i]);
    arena_init(&arena, NULL, 0);
    MUST(!target_path(strbuf_cstr(&encoded), encoded.len, &arena, &again));
    MUST(again.len == path.len && !memcmp(again.data, path.data, path.len));
    arena_clear(&arena);
    strbuf_free(&encoded);
}

static int check(const char *raw, size_t len)
{
    struct strbuf expected = {0};
    struct slice path;
    struct arena arena;
    int r;

    arena_init(&arena, NULL, 0);
    r = target_path(raw, len, &arena, &path);
    MUST(r == reference(raw, len, &expected));
    if (!r) {
        MUST(path.len == expected.len && !memcmp(path.data, expected.data, path.len));
        MUST(path.len && *path.data == '/' && strlen(path.data) == path.len);
        check_clean(path);
    }
    arena_clear(&arena);
    strbuf_free(&expected);
    return r;
}

/* Where path and query must be found in a target that is good. */
static void check_head(const struct guard_head *head)
{
    const char *target = guard_text(head, head->target), *path = target, *mark;
    const char *end = target + head->target.len;

    if (head->asterisk) {
        MUST(end - target == 1 || head->absolute);
        return;
    }
    MUST(head->absolute == (*target != '/'));
    if (head->absolute) {
        path = strstr(target, "://") + 3;
        MUST(path == guard_text(head, head->host));
        while (path < end && *path != '/' && *path != '?')
            path++;
        MUST(path == guard_text(head, head->host) + head->host.len);
    }
    mark = memchr(path, '?', (size_t)(end - path));
    MUST(head->has_query == (mark != NULL));
    MUST(head->query.len == (mark ? (size_t)(end - mark) - 1 : 0));
    MUST(!head->query.len || guard_text(head, head->query) == mark + 1);
    end = mark ? mark : end;
    if (path == end)
        MUST(head->path.len == 1 && *guard_text(head, head->path) == '/');
    else
        MUST(guard_text(head, head->path) == path && head->path.len == (size_t)(end - path));
    MUST(!check(guard_text(head, head->path), head->path.len));
}

static void check_behind_guard(const char *method, const char *target, size_t len)
{
    static const struct guard_limits limits = {.max_head = 1 << 20, .max_fields = 4};
    static struct guard_event event;
    struct strbuf bytes = {0};
    struct guard guard;

    strbuf_addf(&bytes, "%s ", method);
    strbuf_add(&bytes, target, len);
    strbuf_adds(&bytes, " HTTP/1.1\r\nHost: a\r\n\r\n");
    guard_init(&guard, &limits);
    guard_feed(&guard, bytes.data, bytes.len, &event);
    if (event.type == GUARD_HEAD && event.head->target.len == len)
        check_head(event.head);
    guard_clear(&guard);
    strbuf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;

    check(bytes, size);
    check_behind_guard("GET", bytes, size);
    check_behind_guard("OPTIONS", bytes, size);
    return 0;
}
