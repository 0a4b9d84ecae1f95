#include "mime.h"

#include "str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct entry {
    const char *extension;
    const char *type;
};

struct mime_table {
    char *text; /* what the entries point into */
    struct entry *entries;
    size_t count;
};

static const char builtin[] = "application/gzip gz\n"
                              "application/json json map\n"
                              "application/manifest+json webmanifest\n"
                              "application/pdf pdf\n"
                              "application/wasm wasm\n"
                              "application/xml xml\n"
                              "application/zip zip\n"
                              "audio/mpeg mp3\n"
                              "audio/ogg ogg\n"
                              "font/otf otf\n"
                              "font/ttf ttf\n"
                              "font/woff woff\n"
                              "font/woff2 woff2\n"
                              "image/avif avif\n"
                              "image/gif gif\n"
                              "image/jpeg jpeg jpg\n"
                              "image/png png\n"
                              "image/svg+xml svg\n"
                              "image/vnd.microsoft.icon ico\n"
                              "image/webp webp\n"
                              "text/css css\n"
                              "text/csv csv\n"
                              "text/html html htm\n"
                              "text/javascript js mjs\n"
                              "text/markdown md\n"
                              "text/plain txt\n"
                              "video/mp4 mp4\n"
                              "video/webm webm\n";

static int by_extension(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    return strcasecmp(left->extension, right->extension);
}

static int add(struct mime_table *table, size_t *room, const char *extension, const char *type)
{
    if (table->count == *room) {
        size_t bigger = *room ? 2 * *room : 64;
        struct entry *entries = reallocarray(table->entries, bigger, sizeof *entries);

        if (!entries)
            return -ENOMEM;
        table->entries = entries;
        *room = bigger;
    }
    table->entries[table->count++] = (struct entry){extension, type};
    return 0;
}

/* A type goes out in a head: nothing but a token, a slash and a token. */
static bool is_type(const char *word)
{
    static const char token[] = "!#$&-^_.+0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t n = strspn(word, token);

    return n && word[n] == '/' && word[n + 1] && !word[n + 1 + strspn(word + n + 1, token)] &&
           strlen(word) < 128;
}

/* Splits `text` in place. */
static int parse(struct mime_table *table, char *text)
{
    char *line, *rest_of_text = text;
    size_t room = 0;
    int r = 0;

    while (!r && (line = strsep(&rest_of_text, "\n"))) {
        const char *blanks = " \t\r";
        char *rest, *type, *extension;

        line[strcspn(line, "#")] = '\0';
        type = strtok_r(line, blanks, &rest);
        if (!type || !is_type(type))
            continue;
        while (!r && (extension = strtok_r(NULL, blanks, &rest)))
            r = add(table, &room, extension, type);
    }
    if (!r && table->count)
        qsort(table->entries, table->count, sizeof *table->entries, by_extension);
    return r;
}

/* Takes the text over. */
static int from_text(char *text, struct mime_table **out)
{
    struct mime_table *table = text ? calloc(1, sizeof *table) : NULL;
    int r;

    if (!table) {
        free(text);
        return -ENOMEM;
    }
    table->text = text;
    r = parse(table, text);
    if (r)
        mime_free(table);
    else
        *out = table;
    return r;
}

int mime_load(const char *path, struct mime_table **out)
{
    FILE *file = fopen(path, "re");
    struct strbuf text = {0};
    char block[4096];
    size_t n;
    int r;

    if (!file)
        return -errno;
    while ((n = fread(block, 1, sizeof block, file)))
        strbuf_add(&text, block, n);
    r = ferror(file) ? -errno : 0;
    fclose(file);
    if (r) {
        strbuf_free(&text);
        return r;
    }
    strbuf_adds(&text, "\n"); /* even an empty file has a text to be split */
    return from_text(strbuf_take(&text), out);
}

struct mime_table *mime_builtin(void)
{
    struct mime_table *table = NULL;

    return from_text(strdup(builtin), &table) ? NULL : table;
}

void mime_free(struct mime_table *table)
{
    if (!table)
        return;
    free(table->entries);
    free(table->text);
    free(table);
}

const char *mime_find(const struct mime_table *table, const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    struct entry wanted = {.extension = dot ? dot + 1 : ""};
    const struct entry *found;

    if (!dot || dot == base || !table->count)
        return NULL;
    found = bsearch(&wanted, table->entries, table->count, sizeof wanted, by_extension);
    return found ? found->type : NULL;
}
