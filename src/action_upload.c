/* DESIGN
 *
 * upload: the body of a request, or each file of a form, becomes a file below a directory.  A worker
 * writes the body as it comes and gives the file its name when it is whole; until then nothing can be
 * seen of it, and nothing is left of it if it never is.
 *
 * What can be refused is refused before the body is read: the worker opens the place of the file
 * first, and a client that waits for "100 Continue" has not sent anything by then. */
#include "action_upload.h"

#include "action.h"
#include "beneath.h"
#include "body_stream.h"
#include "file_etag.h"
#include "form.h"
#include "json_text.h"
#include "precondition.h"
#include "problem.h"
#include "template.h"
#include "uri_path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const fsync_choices[] = {"full", "file", "none", NULL};

#define AT(member) offsetof(struct upload_settings, member)

static const struct option_row options[] = {
    {"directory", OPTION_STRING, AT(directory), NULL, 1, 0, NULL, OPTION_REQUIRED, NULL,
     "Where the files are stored."},
    {"name", OPTION_STRING, AT(name), NULL, 1, 1024, NULL, OPTION_TEMPLATE, NULL,
     "The name of the file; without it one is made up."},
    {"overwrite", OPTION_BOOL, AT(overwrite), "false", 0, 0, NULL, 0, NULL,
     "Whether a file that exists is replaced; otherwise the request gets 409."},
    {"create_directories", OPTION_BOOL, AT(create_directories), "false", 0, 0, NULL, 0, NULL,
     "Whether directories in the name are made."},
    {"dotfiles", OPTION_BOOL, AT(dotfiles), "false", 0, 0, NULL, 0, NULL,
     "Whether names may begin with a dot."},
    {"multipart", OPTION_BOOL, AT(multipart), "true", 0, 0, NULL, 0, NULL,
     "Whether the files of a form are stored, instead of the form."},
    {"client_names", OPTION_BOOL, AT(client_names), "false", 0, 0, NULL, 0, NULL,
     "Whether a file of a form keeps the name that the client gives."},
    {"fsync", OPTION_ENUM, AT(fsync), "full", 0, 0, fsync_choices, 0, NULL,
     "What is on disk before the client gets its answer."},
    {"mode", OPTION_MODE, AT(mode), "0640", 0, 0777, NULL, 0, NULL,
     "The permissions of the files."},
    {0},
};

/* ---- configuration --------------------------------------------------------------------------- */

static int create(void *settings, const struct conf_check *check)
{
    struct upload_settings *s = settings;
    struct stat st;

    if (s->directory) {
        s->path = conf_resolve_path(check->conf, s->directory);
        if (!s->path)
            return -ENOMEM;
        if (stat(s->path, &st) < 0)
            conf_check_fault(check, "directory", "cannot use \"%s\": %s; allowed: a directory",
                             s->path, strerror(errno));
        else if (!S_ISDIR(st.st_mode))
            conf_check_fault(check, "directory", "\"%s\" is no directory; allowed: a directory",
                             s->path);
    }
    return template_compile(check, "name", s->name, TEMPLATE_PATH, &s->template);
}

static void destroy(void *settings)
{
    struct upload_settings *s = settings;

    free(s->path);
    template_free(s->template);
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *upload_make_name(struct request *request)
{
    uint64_t random[2];
    char text[33];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return NULL;
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    return arena_strndup(&request->arena, text, 32);
}

/* What is wrong with a name that may have directories in it; NULL: nothing. */
static const char *fault_of(const char *path, bool dotfiles)
{
    const char *at = path;

    for (; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return "has control characters";
    for (at = path;; at++) {
        size_t len = strcspn(at, "/");

        if (!len)
            return "is empty, or has an empty part";
        if ((len == 1 && *at == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return "has a part that is \".\" or \"..\"";
        if (*at == '.' && !dotfiles)
            return "has a part that begins with a dot";
        at += len;
        if (!*at)
            return NULL;
    }
}

enum { MAX_LOCATION = 4096 };

const char *upload_location(const struct upload *upload)
{
    struct request *request = upload->request;
    const struct slice *path = &request->path;
    size_t name_len = strlen(upload->path), base = path->len;
    struct strbuf location = {0};
    const char *copy;

    /* The file has been asked for by its own path, or by that of its directory. */
    if (path->len > name_len && path->data[path->len - name_len - 1] == '/' &&
        !memcmp(path->data + path->len - name_len, upload->path, name_len))
        base -= name_len + 1;
    while (base && path->data[base - 1] == '/')
        base--;
    uri_path_add(&location, path->data, base);
    strbuf_addc(&location, '/');
    uri_path_add(&location, upload->path, name_len);
    copy = location.failed || location.len > MAX_LOCATION
               ? NULL
               : arena_strndup(&request->arena, strbuf_cstr(&location), location.len);
    strbuf_free(&location);
    return copy;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* 1: answered; or what it was, when it is nothing that the client could mend. */
static int respond_error(struct request *request, int r)
{
    switch (r) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        problem_respond(request, 507, NULL, "there is no room for the file");
        return 1;
    case -EEXIST:
    case -EISDIR:
    case -ENOTEMPTY:
        problem_respond(request, 409, NULL, "there is something of that name");
        return 1;
    case -ENOENT:
    case -ENOTDIR:
    case -EXDEV:
    case -ELOOP:
        problem_respond(request, 409, NULL, "the directory of that name does not exist");
        return 1;
    case -EACCES:
    case -EPERM:
    case -EROFS:
        problem_respond(request, 403, NULL, "the file may not be written");
        return 1;
    case -ENAMETOOLONG:
    case -EINVAL:
        problem_respond(request, 400, NULL, "the name of the file is too long");
        return 1;
    default:
        return r;
    }
}

/* ---- the place of a file --------------------------------------------------------------------- */

/* Opens the directories of a path one by one, and makes those that are missing.  Takes `dir` over. */
static int open_making(int dir, const char *path, const char *end)
{
    while (dir >= 0 && path < end) {
        size_t len = strcspn(path, "/");
        char segment[256];
        int next;

        if (len >= sizeof segment) {
            close(dir);
            return -ENAMETOOLONG;
        }
        memcpy(segment, path, len);
        segment[len] = '\0';
        next = mkdirat(dir, segment, 0777) < 0 && errno != EEXIST ? -errno : 0;
        if (!next)
            next = beneath_open(dir, segment, O_RDONLY | O_DIRECTORY, 0, false);
        close(dir);
        dir = next;
        path += len + 1;
    }
    return dir;
}

/* Opens the directory that the last segment of the path stands in. */
static int open_place(const struct upload *upload)
{
    const struct upload_settings *s = upload->settings;
    int top = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;
    char *parent;

    if (top < 0)
        return errno == ENOENT ? -EIO : -errno; /* the client cannot help it */
    if (upload->name == upload->path)
        return top;
    if (s->create_directories)
        return open_making(top, upload->path, upload->name - 1);
    parent = strndup(upload->path, (size_t)(upload->name - upload->path) - 1);
    dir = parent ? beneath_open(top, parent, O_RDONLY | O_DIRECTORY, 0, true) : -ENOMEM;
    free(parent);
    close(top);
    return dir;
}

/* What is there may forbid the upload.  0, 1 or -errno. */
static int check_place(const struct upload *upload)
{
    struct request *request = upload->request;
    struct validators validators = {0};
    struct stat st;
    bool exists = fstatat(upload->dir, upload->name, &st, AT_SYMLINK_NOFOLLOW) == 0;

    if (!exists && errno != ENOENT)
        return respond_error(request, -errno);
    if (exists) {
        validators.etag = file_etag(&request->arena, &st, NULL);
        validators.modified = st.st_mtim.tv_sec;
        if (!validators.etag)
            return -ENOMEM;
    }
    if (precondition_check(request, exists ? &validators : NULL) != PRECONDITION_HOLDS) {
        problem_respond(request, 412, NULL, "the file is not in the state that was asked for");
        return 1;
    }
    if (exists && (!upload->settings->overwrite || S_ISDIR(st.st_mode)))
        return respond_error(request, -EEXIST);
    return 0;
}

int upload_begin(struct upload *upload, struct request *request, const struct upload_settings *s,
                 const char *path)
{
    const char *fault = fault_of(path, s->dotfiles), *slash = strrchr(path, '/');
    int r;

    *upload = (struct upload){.request = request, .settings = s, .dir = -1, .path = path};
    upload->store.fd = -1;
    if (fault) {
        problem_respond(request, 400, NULL, "the name of the file %s", fault);
        return 1;
    }
    upload->name = slash ? slash + 1 : path;
    upload->dir = open_place(upload);
    if (upload->dir < 0)
        return respond_error(request, upload->dir);
    r = check_place(upload);
    if (r)
        return r;
    r = store_begin(&upload->store, upload->dir, (mode_t)s->mode);
    return r ? respond_error(request, r) : 0;
}

int upload_write(struct upload *upload, const char *data, size_t len)
{
    int r = store_write(&upload->store, data, len);

    upload->size += (int64_t)len;
    return r ? respond_error(upload->request, r) : 0;
}

void upload_abort(struct upload *upload)
{
    store_abort(&upload->store);
    if (upload->dir >= 0)
        close(upload->dir);
    upload->dir = -1;
}

int upload_commit(struct upload *upload)
{
    const struct upload_settings *s = upload->settings;
    int r = store_commit(&upload->store, upload->name, s->overwrite, (enum store_sync)s->fsync,
                         &upload->replaced);

    upload_abort(upload);
    return r ? respond_error(upload->request, r) : 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static const char *field(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (!strcasecmp(request->headers[i].name, name))
            return request->headers[i].value;
    return NULL;
}

static int store_body(struct upload *upload, const char *path)
{
    struct request *request = upload->request;
    const char *data;
    ssize_t n = 1;
    int r = upload_begin(upload, request, upload->settings, path);

    while (!r && n) {
        n = body_read(request, &data);
        r = n < 0 ? (int)n : upload_write(upload, data, (size_t)n);
    }
    if (!r)
        return upload_commit(upload);
    upload_abort(upload);
    return r;
}

static int respond_stored(const struct upload *upload)
{
    struct request *request = upload->request;
    const char *location = upload_location(upload);

    if (location)
        response_add_header(request, "Location", location);
    return json_text_respond(request, upload->replaced ? 200 : 201, "application/json",
                             json_pack("{s:o, s:I}", "name",
                                       json_text(upload->path, strlen(upload->path)), "size",
                                       (json_int_t)upload->size));
}

static int store_one(struct request *request, const struct upload_settings *s)
{
    struct upload upload = {.request = request, .settings = s};
    struct slice name;
    const char *path;
    int r = 0;

    if (s->template)
        r = template_fill(s->template, request, &name);
    if (r)
        return r;
    path = s->template ? name.data : upload_make_name(request);
    r = path ? store_body(&upload, path) : -ENOMEM;
    return r ? r : respond_stored(&upload);
}

static int run(struct request *request, const void *settings)
{
    const struct upload_settings *s = settings;
    const char *content_type = field(request, "Content-Type");
    int r;

    if (field(request, "Content-Range")) {
        /* RFC 9110, 14.4: a part must not be taken for the whole. */
        problem_respond(request, 400, NULL, "a part of a file cannot be stored");
        return 0;
    }
    if (s->multipart && content_type && form_is_media_type(content_type, "multipart/form-data"))
        r = upload_form(request, s, content_type);
    else
        r = store_one(request, s);
    return r > 0 ? 0 : r;
}

static const char *const methods[] = {"PUT", "POST", NULL};

const struct action action_upload = {
    .conf = {.name = "upload",
             .blocking = true,
             .methods = methods,
             .options = options,
             .settings_size = sizeof(struct upload_settings),
             .create = create,
             .destroy = destroy,
             .doc = "Stores the body of a request as a file."},
    .needs = ACTION_NEEDS_HEADERS | ACTION_STREAMS_BODY,
    .run = run,
};
