/* action_file.h - what the parts of the action `file` share. */
#ifndef HANDOFFD_ACTION_FILE_H
#define HANDOFFD_ACTION_FILE_H

#include "mime.h"
#include "option.h"
#include "request.h"

#include <stdbool.h>
#include <sys/stat.h>

enum file_listing {
    FILE_LISTING_OFF,
    FILE_LISTING_HTML,
    FILE_LISTING_JSON,
    FILE_LISTING_AUTO, /* by what the client accepts */
};

struct file_settings {
    char *file;
    char *root;
    struct string_list index;
    int64_t listing; /* enum file_listing */
    bool dotfiles;
    bool symlinks;
    bool precompressed;
    char *content_type;
    char *charset;
    char *mime_types;
    /* made by create: */
    char *path; /* of `file` or `root`, absolute or relative to the working directory */
    struct mime_table *types;
};

/* A file that is to be sent.  `coding` is NULL, or the Content-Encoding of what `fd` holds. */
struct file_found {
    int fd;
    struct stat stat;
    const char *name; /* whose extension tells the type */
    const char *coding;
};

/* Answers with a file, or with a part of it, or with that the client has it.  Takes the descriptor
 * over in any case.  0 or -errno. */
int file_send(struct request *request, const struct file_settings *settings,
              struct file_found *found) WARN_UNUSED;

/* Answers with the contents of the directory `dir`, which is closed in any case.  0 or -errno. */
int file_list(struct request *request, const struct file_settings *settings, int dir) WARN_UNUSED;

#endif
