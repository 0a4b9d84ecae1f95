/* DESIGN
 *
 * file: one file, or the tree below a directory.  All look-ups are done by a worker, with openat2(2)
 * confined to the directory, so that no link and no trick with names leads out of it.  The directory
 * is opened for each request: when a link to it is changed, requests follow at once.
 *
 * What is not there, is hidden or would lead out gets the same 404: nothing tells them apart. */
#include "action_file.h"

#include "action.h"
#include "beneath.h"
#include "content_coding.h"
#include "problem.h"
#include "uri_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const listings[] = {"off", "html", "json", "auto", NULL};

#define AT(member) offsetof(struct file_settings, member)

static const struct option_row options[] = {
    {"file", OPTION_STRING, AT(file), NULL, 1, 0, NULL, 0, NULL,
     "The file that is served; excludes root."},
    {"root", OPTION_STRING, AT(root), NULL, 1, 0, NULL, 0, NULL,
     "The directory whose files are served; excludes file."},
    {"index", OPTION_STRINGS, AT(index), "index.html", 1, 255, NULL, 0, NULL,
     "Which file of a directory is served in its place; the first that is there."},
    {"listing", OPTION_ENUM, AT(listing), "off", 0, 0, listings, 0, NULL,
     "What a directory without such a file is answered with."},
    {"dotfiles", OPTION_BOOL, AT(dotfiles), "false", 0, 0, NULL, 0, NULL,
     "Whether names that begin with a dot are served."},
    {"symlinks", OPTION_BOOL, AT(symlinks), "true", 0, 0, NULL, 0, NULL,
     "Whether symbolic links that stay below root are followed."},
    {"precompressed", OPTION_BOOL, AT(precompressed), "false", 0, 0, NULL, 0, NULL,
     "Whether a .br, .zst or .gz file beside the one that is asked for may be sent instead."},
    {"content_type", OPTION_STRING, AT(content_type), NULL, 1, 255, NULL, 0, NULL,
     "The Content-Type of every file; by default it goes by the name."},
    {"charset", OPTION_STRING, AT(charset), "utf-8", 0, 64, NULL, 0, NULL,
     "The charset that is added to types of text; empty: none."},
    {"mime_types", OPTION_STRING, AT(mime_types), "/etc/mime.types", 1, 0, NULL, 0, NULL,
     "The file with types and extensions."},
    {0},
};

/* ---- configuration --------------------------------------------------------------------------- */

static bool printable(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int load_types(struct file_settings *s, const struct conf_check *check)
{
    char *path = conf_resolve_path(check->conf, s->mime_types);
    int r = path ? mime_load(path, &s->types) : -ENOMEM;

    /* Systems without the file are served by a small table of our own. */
    if (r == -ENOENT && !strcmp(s->mime_types, "/etc/mime.types")) {
        s->types = mime_builtin();
        r = s->types ? 0 : -ENOMEM;
    }
    if (r && r != -ENOMEM) {
        conf_check_fault(check, "mime_types",
                         "cannot read \"%s\": %s; allowed: a file of types and extensions", path,
                         strerror(-r));
        r = 0;
    }
    free(path);
    return r;
}

static void check_path(const struct file_settings *s, const struct conf_check *check)
{
    const char *option = s->root ? "root" : "file";
    struct stat st;

    if (stat(s->path, &st) < 0)
        conf_check_fault(check, option, "cannot use \"%s\": %s; allowed: %s", s->path,
                         strerror(errno), s->root ? "a directory" : "a file");
    else if (s->root ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        conf_check_fault(check, option, "\"%s\" is no %s; allowed: %s", s->path,
                         s->root ? "directory" : "regular file",
                         s->root ? "a directory" : "a regular file");
}

static int create(void *settings, const struct conf_check *check)
{
    struct file_settings *s = settings;
    const char *given = s->root ? s->root : s->file;

    if (!s->file == !s->root)
        conf_check_fault(check, s->root ? "root" : "file",
                         "found %s; allowed: one of \"file\" and \"root\"",
                         s->root ? "both" : "none");
    for (size_t i = 0; i < s->index.count; i++)
        if (strchr(s->index.items[i], '/') || !strcmp(s->index.items[i], ".."))
            conf_check_fault(check, "index", "found \"%s\"; allowed: names without a slash",
                             s->index.items[i]);
    if (!printable(s->content_type))
        conf_check_fault(check, "content_type", "found control characters; allowed: a media type");
    if (s->charset && s->charset[strspn(s->charset, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR"
                                                    "STUVWXYZ0123456789-_.:+")])
        conf_check_fault(check, "charset", "found \"%s\"; allowed: letters, digits and -_.:+",
                         s->charset);
    if (given) {
        s->path = conf_resolve_path(check->conf, given);
        if (!s->path)
            return -ENOMEM;
        check_path(s, check);
    }
    return s->mime_types ? load_types(s, check) : 0;
}

static void destroy(void *settings)
{
    struct file_settings *s = settings;

    free(s->path);
    mime_free(s->types);
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* What the client is told of an error of openat2(2).  0, or -errno for what is none of its. */
static int respond_error(struct request *request, int r)
{
    switch (r) {
    case -EACCES:
    case -EPERM:
        problem_respond(request, 403, NULL, "the file may not be read");
        return 0;
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ENXIO: /* a socket */
    case -ENODEV:
    case -EXDEV:
    case -ELOOP:
    case -EINVAL:
    case -ENAMETOOLONG:
        problem_respond(request, 404, NULL, "there is no such file");
        return 0;
    default:
        return r;
    }
}

/* What lies below the route's prefix, without slashes at its ends; "." for nothing. */
static const char *relative_path(struct request *request, bool *wants_directory)
{
    const struct route_match *match = &request->match;
    const char *path = "";
    size_t len = 0;

    for (size_t i = 0; i < match->n_params; i++)
        if (!strcmp(match->params[i].name, "rest")) {
            path = match->params[i].value;
            len = match->params[i].len;
        }
    *wants_directory = !len || path[len - 1] == '/';
    while (len && path[len - 1] == '/')
        len--;
    return len ? arena_strndup(&request->arena, path, len) : ".";
}

static bool is_hidden(const struct file_settings *s, const char *path)
{
    return !s->dotfiles && strcmp(path, ".") != 0 && (*path == '.' || strstr(path, "/."));
}

/* FIFOs and devices are opened without waiting, and refused by those who look at the result. */
static int open_below(const struct file_settings *s, int dir, const char *path, struct stat *st)
{
    /* The name of `file` is the configuration's own, which may lead anywhere. */
    int fd = s->root ? beneath_open(dir, path, O_RDONLY | O_NONBLOCK, 0, s->symlinks)
                     : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int r = fd < 0 && !s->root ? -errno : fd;

    if (fd >= 0 && fstat(fd, st) < 0) {
        r = -errno;
        close(fd);
    }
    return r;
}

/* A newer file beside the original that the client would rather have. */
static void find_compressed(const struct request *request, const struct file_settings *s, int dir,
                            const char *path, struct file_found *found)
{
    enum content_coding order[CODING_COUNT];
    unsigned n = content_coding_order(request, order);
    bool taken = false;

    for (unsigned i = 0; i < n && !taken; i++) {
        struct strbuf name = {0};
        struct stat st = {0};
        int fd;

        strbuf_addf(&name, "%s%s", path, content_codings[order[i]].suffix);
        fd = name.failed ? -ENOMEM : open_below(s, dir, strbuf_cstr(&name), &st);
        strbuf_free(&name);
        taken = fd >= 0 && S_ISREG(st.st_mode) && st.st_mtime >= found->stat.st_mtime;
        if (taken) {
            close(found->fd);
            found->fd = fd;
            found->stat = st;
            found->coding = content_codings[order[i]].name;
        } else if (fd >= 0) {
            close(fd);
        }
    }
}

static int send_found(struct request *request, const struct file_settings *s, int dir,
                      const char *path, struct file_found *found)
{
    found->name = path;
    if (s->precompressed)
        find_compressed(request, s, dir, path, found);
    return file_send(request, s, found);
}

/* ---- directories ----------------------------------------------------------------------------- */

enum { MAX_LOCATION = 4096 };

/* Relative references in a directory's page go by its slash. */
static int redirect_to_slash(struct request *request)
{
    struct strbuf location = {0};
    const char *copy;

    /* The path as it was understood: it has one slash at its start, so that it stays on this host. */
    uri_path_add(&location, request->path.data, request->path.len);
    strbuf_addc(&location, '/');
    if (request->query.len)
        strbuf_addf(&location, "?%s", request->query.data);
    copy = location.len <= MAX_LOCATION
               ? arena_strndup(&request->arena, strbuf_cstr(&location), location.len)
               : "";
    strbuf_free(&location);
    if (!copy)
        return -ENOMEM;
    if (!*copy) {
        problem_respond(request, 414, NULL, "the Location of the directory would be too long");
        return 0;
    }
    response_static(request, 301, NULL, "", 0);
    response_add_header(request, "Location", copy);
    return 0;
}

/* Takes `dir` over. */
static int serve_directory(struct request *request, const struct file_settings *s, int dir)
{
    struct file_found found = {.fd = -ENOENT};
    int r;

    for (size_t i = 0; i < s->index.count; i++) {
        const char *name = s->index.items[i];

        found.fd = open_below(s, dir, name, &found.stat);
        if (found.fd >= 0 && S_ISREG(found.stat.st_mode)) {
            r = send_found(request, s, dir, name, &found);
            close(dir);
            return r;
        }
        if (found.fd >= 0)
            close(found.fd);
    }
    if (s->listing != FILE_LISTING_OFF)
        return file_list(request, s, dir);
    close(dir);
    return respond_error(request, -ENOENT);
}

/* ---- requests -------------------------------------------------------------------------------- */

static int serve_below(struct request *request, const struct file_settings *s, int root)
{
    bool wants_directory;
    const char *path = relative_path(request, &wants_directory);
    struct file_found found = {0};

    if (!path)
        return -ENOMEM;
    if (is_hidden(s, path))
        return respond_error(request, -ENOENT);
    found.fd = open_below(s, root, path, &found.stat);
    if (found.fd < 0)
        return respond_error(request, found.fd);
    if (S_ISDIR(found.stat.st_mode)) {
        if (wants_directory)
            return serve_directory(request, s, found.fd);
        close(found.fd);
        return redirect_to_slash(request);
    }
    if (S_ISREG(found.stat.st_mode) && !wants_directory)
        return send_found(request, s, root, path, &found);
    close(found.fd);
    return respond_error(request, -ENOENT);
}

static int serve_one(struct request *request, const struct file_settings *s)
{
    struct file_found found = {0};

    found.fd = open_below(s, -1, s->path, &found.stat);
    if (found.fd < 0)
        return respond_error(request, found.fd);
    if (S_ISREG(found.stat.st_mode))
        return send_found(request, s, -1, s->path, &found);
    close(found.fd);
    return respond_error(request, -ENOENT);
}

static int run(struct request *request, const void *settings)
{
    const struct file_settings *s = settings;
    int root, r;

    if (!s->root)
        return serve_one(request, s);
    root = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return respond_error(request, -errno);
    r = serve_below(request, s, root);
    close(root);
    return r;
}

const struct action action_file = {
    .conf = {.name = "file",
             .blocking = true,
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct file_settings),
             .create = create,
             .destroy = destroy,
             .doc = "A file, or the files below a directory."},
    .needs = ACTION_NEEDS_HEADERS,
    .run = run,
};
