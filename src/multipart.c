/* DESIGN
 *
 * A delimiter is CR LF "--" and the boundary.  A boundary holds no CR, so that bytes which begin like a
 * delimiter and go on otherwise can be nothing else than content, up to the byte that differs; no more
 * has to be remembered of them than how many there were.  The first delimiter may lack its line break:
 * the machine begins as if that had come. */
#include "multipart.h"

#include "form.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum state {
    PREAMBLE,
    HEAD,
    CONTENT,
    BEHIND_DELIMITER,
    AT_DASH,     /* one of the two that close the body was seen */
    AT_BLANK_LF, /* the CR behind a delimiter was seen */
    EPILOGUE,
};

int multipart_begin(struct multipart *m, const char *content_type,
                    const struct multipart_calls *calls, void *arg)
{
    char value[1024];
    size_t len = strlen(content_type);
    ssize_t n =
        len <= sizeof value ? form_find_parameter(content_type, len, "boundary", value) : -ENOENT;

    m->fault = "the Content-Type has no boundary of 1 to 70 bytes";
    if (n < 1 || n > MULTIPART_MAX_BOUNDARY || memchr(value, '\r', (size_t)n) ||
        memchr(value, '\n', (size_t)n))
        return -EBADMSG;
    m->calls = calls;
    m->arg = arg;
    m->fault = NULL;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, value, (size_t)n);
    m->delimiter_len = (size_t)n + 4;
    m->matched = 2;
    m->state = PREAMBLE;
    m->head_len = 0;
    return 0;
}

static int fail(struct multipart *m, const char *fault)
{
    m->fault = fault;
    return -EBADMSG;
}

/* ---- heads of parts -------------------------------------------------------------------------- */

/* Takes a parameter of the line into `out`, NUL-terminated.  False: it has none. */
static bool take_parameter(const char *line, size_t len, const char *name, char *out)
{
    ssize_t n = form_find_parameter(line, len, name, out);

    if (n < 0)
        return false;
    out[form_decode_name(out, (size_t)n)] = '\0';
    return true;
}

static int end_head(struct multipart *m)
{
    static const char field[] = "Content-Disposition:";
    const char *line = m->head, *end = m->head + m->head_len;
    char name[MULTIPART_MAX_HEAD + 1], filename[MULTIPART_MAX_HEAD + 1];
    struct multipart_head head = {0};

    while (line < end) {
        const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
        size_t len = (size_t)((stop ? stop : end) - line);

        if (len >= sizeof field - 1 && !strncasecmp(line, field, sizeof field - 1)) {
            if (take_parameter(line, len, "name", name))
                head.name = name;
            if (take_parameter(line, len, "filename", filename))
                head.filename = filename;
            break;
        }
        line += len + 2;
    }
    m->head_len = 0;
    m->state = CONTENT;
    return head.name ? m->calls->begin(m->arg, &head) : fail(m, "a part has no name");
}

/* Takes bytes up to the end of the head; returns how many. */
static size_t feed_head(struct multipart *m, const char *data, size_t len, int *r)
{
    size_t i = 0;

    while (i < len) {
        if (m->head_len == sizeof m->head) {
            *r = fail(m, "the head of a part has more than 8192 bytes");
            return i;
        }
        m->head[m->head_len++] = data[i++];
        if ((m->head_len >= 4 && !memcmp(m->head + m->head_len - 4, "\r\n\r\n", 4)) ||
            (m->head_len == 2 && !memcmp(m->head, "\r\n", 2))) {
            *r = end_head(m);
            return i;
        }
    }
    return i;
}

/* ---- content --------------------------------------------------------------------------------- */

static int give(struct multipart *m, const char *data, size_t len)
{
    return m->state == CONTENT && len ? m->calls->data(m->arg, data, len) : 0;
}

/* The bytes that began like a delimiter are content after all. */
static int give_matched(struct multipart *m)
{
    size_t n = m->matched;

    m->matched = 0;
    return give(m, m->delimiter, n);
}

/* Takes bytes up to the end of a delimiter; returns how many. */
static size_t feed_content(struct multipart *m, const char *data, size_t len, int *r)
{
    size_t i = 0, start = 0;

    while (i < len && !*r) {
        if (!m->matched) {
            const char *cr = memchr(data + i, '\r', len - i);

            i = cr ? (size_t)(cr - data) : len;
            *r = give(m, data + start, i - start);
            m->matched = i < len;
            i += m->matched;
        } else if (data[i] == m->delimiter[m->matched]) {
            i++;
            if (++m->matched == m->delimiter_len) {
                m->matched = 0;
                *r = m->state == CONTENT ? m->calls->end(m->arg) : 0;
                m->state = BEHIND_DELIMITER;
                return i;
            }
        } else {
            *r = give_matched(m);
        }
        start = i;
    }
    return i;
}

/* "--", or blanks and a line break. */
static int feed_behind(struct multipart *m, char c)
{
    if (m->state == AT_DASH) {
        m->state = EPILOGUE;
        return c == '-' ? 0 : fail(m, "a delimiter goes on behind its boundary");
    }
    if (m->state == AT_BLANK_LF) {
        m->state = HEAD;
        return c == '\n' ? 0 : fail(m, "a delimiter ends with a bare CR");
    }
    if (c == '-')
        m->state = AT_DASH;
    else if (c == '\r')
        m->state = AT_BLANK_LF;
    else if (c != ' ' && c != '\t')
        return fail(m, "a delimiter goes on behind its boundary");
    return 0;
}

int multipart_feed(struct multipart *m, const char *data, size_t len)
{
    size_t i = 0;
    int r = 0;

    while (i < len && !r) {
        switch ((enum state)m->state) {
        case PREAMBLE:
        case CONTENT:
            i += feed_content(m, data + i, len - i, &r);
            break;
        case HEAD:
            i += feed_head(m, data + i, len - i, &r);
            break;
        case BEHIND_DELIMITER:
        case AT_DASH:
        case AT_BLANK_LF:
            r = feed_behind(m, data[i++]);
            break;
        case EPILOGUE:
            return 0;
        }
    }
    return r;
}

int multipart_finish(struct multipart *m)
{
    return m->state == EPILOGUE ? 0 : fail(m, "the closing delimiter is missing");
}
