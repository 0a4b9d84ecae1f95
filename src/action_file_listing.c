/* DESIGN
 *
 * The names are read and sorted first, then the page is sent as it is made, so that memory is bounded
 * by the names alone.  The worker is busy until the client has taken all but the last part of it.
 *
 * A name is whatever bytes a file system allows.  In HTML it is text with everything escaped that
 * could be markup, in references and in JSON's `href` it is a URI; JSON's `name` shows bytes that are
 * not UTF-8 as U+FFFD.  What could not be opened through this route is not listed. */
#include "action_file.h"
#include "answer_stream.h"
#include "beneath.h"
#include "clock.h"
#include "json_text.h"
#include "problem.h"
#include "uri_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_ENTRIES = 100000, PIECE = 32 << 10 };

struct names {
    char **items;
    size_t count;
    size_t room;
};

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int add_name(struct names *names, const char *name)
{
    if (names->count == MAX_ENTRIES)
        return -EOVERFLOW;
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 64;
        char **items = reallocarray(names->items, room, sizeof *items);

        if (!items)
            return -ENOMEM;
        names->items = items;
        names->room = room;
    }
    names->items[names->count] = strdup(name);
    return names->items[names->count] ? (names->count++, 0) : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

/* Takes `dir` over. */
static int read_names(int dir, bool dotfiles, struct names *names)
{
    DIR *stream = fdopendir(dir);
    const struct dirent *entry;
    int r = 0;

    if (!stream) {
        r = -errno;
        close(dir);
        return r;
    }
    while (!r && (errno = 0, entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            (dotfiles || entry->d_name[0] != '.'))
            r = add_name(names, entry->d_name);
    if (!r && errno)
        r = -errno;
    closedir(stream);
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, by_name);
    return r;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static void add_html(struct strbuf *out, const char *bytes)
{
    for (; *bytes; bytes++)
        switch (*bytes) {
        case '&':
            strbuf_adds(out, "&amp;");
            break;
        case '<':
            strbuf_adds(out, "&lt;");
            break;
        case '>':
            strbuf_adds(out, "&gt;");
            break;
        case '"':
            strbuf_adds(out, "&quot;");
            break;
        case '\'':
            strbuf_adds(out, "&#39;");
            break;
        default:
            /* Control characters are no part of HTML; a browser may do anything with them. */
            strbuf_addc(out, (unsigned char)*bytes < 0x20 || *bytes == 0x7f ? '?' : *bytes);
        }
}

static void add_time(struct strbuf *out, time_t when)
{
    struct tm tm;

    gmtime_r(&when, &tm);
    strbuf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "./" keeps a name with a colon from looking like a scheme. */
static void add_href(struct strbuf *out, const char *name, bool is_directory)
{
    strbuf_adds(out, "./");
    uri_path_add(out, name, strlen(name));
    strbuf_adds(out, is_directory ? "/" : "");
}

static void add_html_entry(struct strbuf *out, const char *name, const struct stat *st)
{
    bool is_directory = S_ISDIR(st->st_mode);

    strbuf_adds(out, "<tr><td><a href=\"");
    add_href(out, name, is_directory);
    strbuf_adds(out, "\">");
    add_html(out, name);
    strbuf_adds(out, is_directory ? "/</a><td>" : "</a><td>");
    if (!is_directory)
        strbuf_addf(out, "%lld", (long long)st->st_size);
    strbuf_adds(out, "<td>");
    add_time(out, st->st_mtim.tv_sec);
    strbuf_adds(out, "\n");
}

static void add_json_entry(struct strbuf *out, const char *name, const struct stat *st)
{
    bool is_directory = S_ISDIR(st->st_mode);
    struct strbuf href = {0}, modified = {0};
    json_t *entry;
    char *json;

    add_href(&href, name, is_directory);
    add_time(&modified, st->st_mtim.tv_sec);
    entry = json_pack("{s:o, s:o, s:s, s:o}", "name", json_text(name, strlen(name)), "href",
                      json_text_of(&href), "type", is_directory ? "directory" : "file", "modified",
                      json_text_of(&modified));
    if (entry && !is_directory)
        json_object_set_new(entry, "size", json_integer(st->st_size));
    json = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
    if (!json_text_was_refused() && json)
        strbuf_adds(out, json);
    else
        out->failed = true;
    free(json);
    json_decref(entry);
    strbuf_free(&href);
    strbuf_free(&modified);
}

/* ---- the page -------------------------------------------------------------------------------- */

static int flush(struct request *request, struct strbuf *out, size_t least)
{
    int r = out->failed ? -ENOMEM : 0;

    if (!r && out->len >= least) {
        r = answer_write(request, strbuf_cstr(out), out->len);
        strbuf_free(out);
    }
    return r;
}

static bool stat_entry(int dir, const char *name, const struct file_settings *s, struct stat *st)
{
    int fd = beneath_open(dir, name, O_PATH, 0, s->symlinks);
    bool good = fd >= 0 && fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));

    if (fd >= 0)
        close(fd);
    return good;
}

static void add_start(struct request *request, struct strbuf *out, bool json)
{
    if (json) {
        strbuf_adds(out, "[");
        return;
    }
    strbuf_adds(out, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>");
    add_html(out, request->path.data);
    strbuf_adds(out, "</title>\n<h1>");
    add_html(out, request->path.data);
    strbuf_adds(out, "</h1>\n<table>\n<tr><th>Name<th>Size<th>Modified\n"
                     "<tr><td><a href=\"../\">../</a><td><td>\n");
}

static int send_page(struct request *request, const struct file_settings *s, int dir,
                     const struct names *names, bool json)
{
    struct strbuf out = {0};
    bool first = true;
    int r = 0;

    add_start(request, &out, json);
    for (size_t i = 0; i < names->count && !r; i++) {
        struct stat st;

        if (!stat_entry(dir, names->items[i], s, &st))
            continue;
        if (json)
            strbuf_adds(&out, first ? "\n" : ",\n");
        first = false;
        if (json)
            add_json_entry(&out, names->items[i], &st);
        else
            add_html_entry(&out, names->items[i], &st);
        r = flush(request, &out, PIECE);
    }
    strbuf_adds(&out, json ? "\n]\n" : "</table>\n");
    if (!r)
        r = flush(request, &out, 0);
    strbuf_free(&out);
    return r;
}

/* Whether the client names JSON and not HTML among what it accepts. */
static bool wants_json(const struct request *request, const struct file_settings *s)
{
    bool json = false, html = false;

    if (s->listing != FILE_LISTING_AUTO)
        return s->listing == FILE_LISTING_JSON;
    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, "Accept")) {
            json |= strcasestr(request->headers[i].value, "application/json") != NULL;
            html |= strcasestr(request->headers[i].value, "text/html") != NULL;
        }
    return json && !html;
}

static int begin_page(struct request *request, const struct file_settings *s, bool json)
{
    response_static(request, 200, json ? "application/json" : "text/html; charset=utf-8", NULL, 0);
    response_add_header(request, "Cache-Control", "no-cache");
    response_add_header(request, "X-Content-Type-Options", "nosniff");
    if (!json)
        response_add_header(request, "Content-Security-Policy", "default-src 'none'");
    if (s->listing == FILE_LISTING_AUTO)
        response_add_header(request, "Vary", "Accept");
    return answer_begin(request, ANSWER_UNKNOWN);
}

int file_list(struct request *request, const struct file_settings *s, int dir)
{
    struct names names = {0};
    bool json = wants_json(request, s);
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 3), r;

    if (copy < 0) {
        r = -errno;
        close(dir);
        return r;
    }
    r = read_names(copy, s->dotfiles, &names);
    if (r == -EOVERFLOW) {
        problem_respond(request, 500, NULL, "the directory has more than %d files", MAX_ENTRIES);
        r = 0;
    } else if (!r) {
        r = begin_page(request, s, json);
        if (!r)
            r = send_page(request, s, dir, &names, json);
    }
    close(dir);
    free_names(&names);
    return r;
}
