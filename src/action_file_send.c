/* DESIGN
 *
 * What is small is read by the worker and leaves together with its head.  The rest is handed to the
 * loop as an open descriptor and ranges of it, which needs no thread any more; the worker has the
 * kernel read the first part ahead, so that the loop finds it in memory. */
#include "action_file.h"

#include "byte_ranges.h"
#include "clock.h"
#include "file_etag.h"
#include "precondition.h"
#include "problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

enum { SMALL_FILE = 64 << 10, READ_AHEAD = 1 << 20 };

/* ---- the head -------------------------------------------------------------------------------- */

/* A text in the request's arena.  NULL: out of memory. */
__attribute__((format(printf, 2, 3))) static const char *format(struct request *request,
                                                                const char *fmt, ...)
{
    struct strbuf text = {0};
    char *copy;
    va_list ap;

    va_start(ap, fmt);
    strbuf_addv(&text, fmt, ap);
    va_end(ap);
    copy = text.failed ? NULL : arena_strndup(&request->arena, strbuf_cstr(&text), text.len);
    strbuf_free(&text);
    return copy;
}

static const char *type_of(struct request *request, const struct file_settings *s,
                           const struct file_found *found)
{
    const char *type = s->content_type ? s->content_type : mime_find(s->types, found->name);

    if (!type)
        return "application/octet-stream";
    if (s->content_type || strncasecmp(type, "text/", 5) != 0 || !s->charset || !*s->charset)
        return type;
    return format(request, "%s; charset=%s", type, s->charset);
}

static void add(struct request *request, const char *name, const char *value)
{
    if (value)
        response_add_header(request, name, value);
}

static const char *date(struct request *request, time_t when)
{
    char *out = arena_alloc(&request->arena, HTTP_DATE_SIZE);

    if (out)
        clock_http_date(when, out);
    return out;
}

/* The fields that 200, 206 and 304 have in common (RFC 9110, 15.4.5). */
static void add_fields(struct request *request, const struct file_settings *s,
                       const struct file_found *found, const char *etag)
{
    add(request, "ETag", etag);
    add(request, "Last-Modified", date(request, found->stat.st_mtim.tv_sec));
    if (s->precompressed)
        add(request, "Vary", "Accept-Encoding");
}

/* ---- the body -------------------------------------------------------------------------------- */

static int read_range(int fd, char *out, const struct byte_range *range)
{
    size_t len = (size_t)range->length, done = 0;

    while (done < len) {
        ssize_t n = pread(fd, out + done, len - done, range->offset + (off_t)done);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (!n)
            return -EIO; /* it has become shorter */
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Takes the descriptor over. */
static int respond_small(struct request *request, int status, const char *type, int fd,
                         const struct byte_range *range)
{
    char *body = malloc((size_t)range->length + 1);
    int r = body ? read_range(fd, body, range) : -ENOMEM;

    close(fd);
    if (r) {
        free(body);
        return r;
    }
    return response_own(request, status, type, body, (size_t)range->length);
}

/* Takes the descriptor over.  `texts` are what stands in front of each range, and one behind all;
 * NULL: nothing does. */
static int respond_ranges(struct request *request, int status, const char *type, int fd,
                          const struct byte_range *ranges, unsigned n, const char *const *texts)
{
    unsigned n_parts = n + (texts != NULL);
    struct response_part *parts = arena_alloc(&request->arena, n_parts * sizeof *parts);

    if (!parts) {
        close(fd);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < n_parts; i++) {
        const char *before = texts ? texts[i] : "";

        parts[i] = (struct response_part){.text = {before, strlen(before)}};
        if (i < n) {
            parts[i].offset = ranges[i].offset;
            parts[i].length = ranges[i].length;
        }
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    (void)readahead(fd, ranges[0].offset,
                    ranges[0].length < READ_AHEAD ? (size_t)ranges[0].length : READ_AHEAD);
    response_file(request, status, type, fd, parts, n_parts);
    return 0;
}

static int respond_one(struct request *request, int status, const char *type, int fd,
                       const struct byte_range *range)
{
    if (request->method == METHOD_HEAD) {
        close(fd);
        response_static(request, status, type, NULL, (size_t)range->length);
        return 0;
    }
    if (range->length <= SMALL_FILE)
        return respond_small(request, status, type, fd, range);
    return respond_ranges(request, status, type, fd, range, 1, NULL);
}

/* multipart/byteranges (RFC 9110, 14.6). */
static int respond_many(struct request *request, const char *type, int fd, int64_t size,
                        const struct byte_range *ranges, unsigned n)
{
    const char *texts[BYTE_RANGES_MAX + 1], *whole_type;
    uint64_t boundary[2];
    bool good = getrandom(boundary, sizeof boundary, 0) == sizeof boundary;

    for (unsigned i = 0; i <= n && good; i++) {
        const char *start = i ? "\r\n--" : "--";
        unsigned long long a = boundary[0], b = boundary[1];

        if (i == n)
            texts[i] = format(request, "%s%016llx%016llx--\r\n", start, a, b);
        else
            texts[i] =
                format(request,
                       "%s%016llx%016llx\r\nContent-Type: %s\r\n"
                       "Content-Range: bytes %lld-%lld/%lld\r\n\r\n",
                       start, a, b, type, (long long)ranges[i].offset,
                       (long long)(ranges[i].offset + ranges[i].length - 1), (long long)size);
        good = texts[i];
    }
    whole_type = good ? format(request, "multipart/byteranges; boundary=%016llx%016llx",
                               (unsigned long long)boundary[0], (unsigned long long)boundary[1])
                      : NULL;
    if (whole_type)
        return respond_ranges(request, 206, whole_type, fd, ranges, n, texts);
    close(fd);
    return -ENOMEM;
}

static int respond_unsatisfied(struct request *request, int fd, int64_t size)
{
    close(fd);
    problem_respond(request, 416, NULL, "none of the ranges lies within the %lld bytes there are",
                    (long long)size);
    add(request, "Content-Range", format(request, "bytes */%lld", (long long)size));
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum byte_ranges_result read_ranges(const struct request *request,
                                           const struct validators *validators, int64_t size,
                                           struct byte_range ranges[BYTE_RANGES_MAX], unsigned *n)
{
    const char *value = NULL;

    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, "Range")) {
            if (value)
                return BYTE_RANGES_NONE;
            value = request->headers[i].value;
        }
    if (!value || request->method != METHOD_GET || !precondition_range_counts(request, validators))
        return BYTE_RANGES_NONE;
    return byte_ranges_read(value, size, ranges, n);
}

static int send_content(struct request *request, const char *type, const struct file_found *found,
                        const struct validators *validators)
{
    int64_t size = found->stat.st_size;
    const struct byte_range whole = {0, size};
    struct byte_range ranges[BYTE_RANGES_MAX];
    unsigned n;

    switch (read_ranges(request, validators, size, ranges, &n)) {
    case BYTE_RANGES_NONE:
        return respond_one(request, 200, type, found->fd, &whole);
    case BYTE_RANGES_UNSATISFIED:
        return respond_unsatisfied(request, found->fd, size);
    case BYTE_RANGES_FOUND:
        break;
    }
    if (n > 1)
        return respond_many(request, type, found->fd, size, ranges, n);
    add(request, "Content-Range",
        format(request, "bytes %lld-%lld/%lld", (long long)ranges[0].offset,
               (long long)(ranges[0].offset + ranges[0].length - 1), (long long)size));
    return respond_one(request, 206, type, found->fd, &ranges[0]);
}

int file_send(struct request *request, const struct file_settings *s, struct file_found *found)
{
    const char *etag = file_etag(&request->arena, &found->stat, found->coding),
               *type = type_of(request, s, found);
    const struct validators validators = {etag, found->stat.st_mtim.tv_sec};

    if (!etag || !type) {
        close(found->fd);
        return -ENOMEM;
    }
    switch (precondition_check(request, &validators)) {
    case PRECONDITION_NOT_MODIFIED:
        close(found->fd);
        response_static(request, 304, NULL, NULL, 0);
        add_fields(request, s, found, etag);
        return 0;
    case PRECONDITION_FAILED:
        close(found->fd);
        problem_respond(request, 412, NULL, "the file is not in the state that was asked for");
        return 0;
    case PRECONDITION_HOLDS:
        break;
    }
    add_fields(request, s, found, etag);
    add(request, "Accept-Ranges", "bytes");
    add(request, "Content-Encoding", found->coding);
    return send_content(request, type, found, &validators);
}
