/* action_upload.h - what the parts of the action `upload` share. */
#ifndef HANDOFFD_ACTION_UPLOAD_H
#define HANDOFFD_ACTION_UPLOAD_H

#include "option.h"
#include "request.h"
#include "store.h"

#include <stdbool.h>

struct template;

struct upload_settings {
    char *directory;
    char *name;
    bool overwrite;
    bool create_directories;
    bool dotfiles;
    bool multipart;
    bool client_names;
    int64_t fsync; /* enum store_sync */
    int64_t mode;
    /* made by create: */
    char *path;
    struct template *template; /* of `name` */
};

/* A file that is being stored: its place is open, its bytes come. */
struct upload {
    struct request *request;
    const struct upload_settings *settings;
    int dir;          /* of the last segment; -1: not open */
    const char *name; /* the last segment; lives as long as the request */
    const char *path; /* below the directory; the same */
    int64_t size;
    bool replaced;
    struct store store;
};

/* Opens the place of a file.  0; 1: the request has been answered with what is wrong; -errno. */
int upload_begin(struct upload *upload, struct request *request,
                 const struct upload_settings *settings, const char *path) WARN_UNUSED;
/* 0, 1 or -errno, as above; then it is for upload_abort. */
int upload_write(struct upload *upload, const char *data, size_t len) WARN_UNUSED;
/* The file is whole; ends the upload in any case.  0, 1 or -errno. */
int upload_commit(struct upload *upload) WARN_UNUSED;
void upload_abort(struct upload *upload);

/* A name that nobody has.  NULL: out of memory. */
const char *upload_make_name(struct request *request);

/* The body is a form: stores its files.  0, 1 or -errno. */
int upload_form(struct request *request, const struct upload_settings *settings,
                const char *content_type) WARN_UNUSED;

/* The Location of a file; NULL: it is longer than a client could use, or out of memory. */
const char *upload_location(const struct upload *upload);

#endif
