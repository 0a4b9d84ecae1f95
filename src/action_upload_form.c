/* DESIGN
 *
 * The files of a form are written as they come and get their names together when the form is whole; if
 * one of them cannot, those that have theirs already are taken back.  Fields that are no files are
 * passed over. */
#include "action_upload.h"

#include "body_stream.h"
#include "json_text.h"
#include "multipart.h"
#include "problem.h"
#include "template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILES = 32 };

struct form_upload {
    struct request *request;
    const struct upload_settings *settings;
    struct upload files[MAX_FILES];
    const char *fields[MAX_FILES]; /* the names of the form's fields */
    unsigned n;
    bool in_file; /* the part that comes is the last of `files` */
    struct multipart multipart;
};

static int refuse(struct request *request, const char *detail)
{
    problem_respond(request, 400, NULL, "%s", detail);
    return 1;
}

/* Clients give names with the directories that they have there. */
static const char *base_name(const char *filename)
{
    const char *base = filename;

    for (; *filename; filename++)
        if (*filename == '/' || *filename == '\\')
            base = filename + 1;
    return base;
}

/* 0, 1 or -errno. */
static int choose_name(const struct form_upload *form, const struct multipart_head *head,
                       const char **path)
{
    struct request *request = form->request;
    const struct upload_settings *s = form->settings;
    struct slice name;
    int r = 0;

    if (s->template && form->n)
        return refuse(request, "the form has more than one file, and there is one name");
    if (s->template) {
        r = template_fill(s->template, request, &name);
        *path = name.data;
    } else if (s->client_names) {
        const char *base = base_name(head->filename);

        *path = arena_strndup(&request->arena, base, strlen(base));
    } else {
        *path = upload_make_name(request);
    }
    return r ? r : *path ? 0 : -ENOMEM;
}

static int on_begin(void *arg, const struct multipart_head *head)
{
    struct form_upload *form = arg;
    struct request *request = form->request;
    const char *path;
    int r;

    /* A browser sends a file field that was left empty with an empty name. */
    form->in_file = head->filename && *head->filename;
    if (!form->in_file)
        return 0;
    if (form->n == MAX_FILES)
        return refuse(request, "the form has more than 32 files");
    r = choose_name(form, head, &path);
    if (r)
        return r;
    form->fields[form->n] = arena_strndup(&request->arena, head->name, strlen(head->name));
    if (!form->fields[form->n])
        return -ENOMEM;
    return upload_begin(&form->files[form->n++], request, form->settings, path);
}

static int on_data(void *arg, const char *data, size_t len)
{
    struct form_upload *form = arg;

    return form->in_file ? upload_write(&form->files[form->n - 1], data, len) : 0;
}

static int on_end(void *arg)
{
    ((struct form_upload *)arg)->in_file = false;
    return 0;
}

static int read_form(struct form_upload *form)
{
    const char *data;
    ssize_t n;
    int r = 0;

    while (!r) {
        n = body_read(form->request, &data);
        if (n < 0)
            return (int)n;
        if (!n)
            return multipart_finish(&form->multipart);
        r = multipart_feed(&form->multipart, data, (size_t)n);
    }
    return r;
}

static void take_back(struct form_upload *form, unsigned n)
{
    const struct upload_settings *s = form->settings;

    for (unsigned i = 0; i < n; i++) {
        char *path = NULL;

        /* What has been replaced cannot be brought back. */
        if (!form->files[i].replaced && asprintf(&path, "%s/%s", s->path, form->files[i].path) > 0)
            (void)unlink(path);
        free(path);
    }
}

static int commit_all(struct form_upload *form)
{
    int r = 0;
    unsigned i = 0;

    for (; i < form->n && !r; i++)
        r = upload_commit(&form->files[i]);
    if (r)
        take_back(form, i - 1);
    return r;
}

static int respond_stored(struct form_upload *form)
{
    struct request *request = form->request;
    json_t *list = json_array();
    bool created = false;

    for (unsigned i = 0; list && i < form->n; i++) {
        const struct upload *file = &form->files[i];
        const char *field = form->fields[i];

        created |= !file->replaced;
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:I}", "field", json_text(field, strlen(field)),
                                        "name", json_text(file->path, strlen(file->path)), "size",
                                        (json_int_t)file->size));
    }
    if (form->n == 1) {
        const char *location = upload_location(&form->files[0]);

        if (location)
            response_add_header(request, "Location", location);
    }
    return json_text_respond(request, created ? 201 : 200, "application/json", list);
}

int upload_form(struct request *request, const struct upload_settings *settings,
                const char *content_type)
{
    static const struct multipart_calls calls = {on_begin, on_data, on_end};
    struct form_upload *form = calloc(1, sizeof *form);
    int r;

    if (!form)
        return -ENOMEM;
    form->request = request;
    form->settings = settings;
    r = multipart_begin(&form->multipart, content_type, &calls, form);
    if (!r)
        r = read_form(form);
    if (r == -EBADMSG && form->multipart.fault)
        r = refuse(request, form->multipart.fault);
    if (!r && !form->n)
        r = refuse(request, "the form has no file");
    if (!r)
        r = commit_all(form);
    for (unsigned i = 0; r && i < form->n; i++)
        upload_abort(&form->files[i]);
    if (!r)
        r = respond_stored(form);
    free(form);
    return r;
}
