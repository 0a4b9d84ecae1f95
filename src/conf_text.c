/* DESIGN
 *
 * libconfig 1.5 leaves four things to be wished for, and a pass over the text before it parses
 * supplies them: includes relative to the file that holds them; a place for every fault (a map from
 * lines of the joined text to files and lines); settings that stand twice reported with both places
 * while the parse goes on (the second one is renamed out of the way; the parser would stop there);
 * and integers past 32 bits, which its scanner wraps silently (they get the suffix L, and what 64
 * bits cannot hold is a fault).
 *
 * The pass knows just enough of the syntax for that: comments, strings, names, numbers, brackets. */
#include "conf_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_FILE_BYTES = 16 << 20,
    MAX_TEXT_BYTES = 64 << 20,
    MAX_INCLUDE_DEPTH = 10,
    MAX_NESTING = 32,
};

struct seen_name {
    char *name;
    struct conf_text_line line;
};

/* One open bracket: a group has names, a list counts its elements. */
struct scope {
    char bracket;
    char *label; /* the name that the bracket was opened for; NULL: an element of a list */
    size_t index;
    struct seen_name *names;
    size_t n_names;
};

struct file_id {
    dev_t dev;
    ino_t ino;
};

struct scanner {
    struct conf_text *out;
    struct conf_faults *faults;
    struct scope scopes[MAX_NESTING];
    size_t depth;  /* scopes[0] is the file's top level */
    char *pending; /* a name that '=' or ':' may follow */
    size_t pending_at;
    char *label; /* the name last assigned to, for the bracket that may follow */
    struct conf_text_line pending_line, line;
    struct file_id open_files[MAX_INCLUDE_DEPTH];
    size_t n_open;
    bool overflow;
    bool out_of_memory;
};

void conf_text_where(const struct conf_text *text, unsigned line, struct strbuf *out)
{
    struct conf_text_line at = {0};

    if (text->n_lines) {
        size_t i = line == 0 ? 0 : line > text->n_lines ? text->n_lines - 1 : line - 1;

        at = text->lines[i];
    }
    strbuf_addf(out, "%s:%d", text->n_files ? text->files[at.file] : "?",
                at.number ? at.number : 1);
}

static void fault_at(struct scanner *s, struct conf_text_line line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void fault_at(struct scanner *s, struct conf_text_line line, const char *fmt, ...)
{
    struct strbuf where = {0}, text = {0};
    va_list ap;

    strbuf_addf(&where, "%s:%d", s->out->files[line.file], line.number);
    va_start(ap, fmt);
    strbuf_addv(&text, fmt, ap);
    va_end(ap);
    conf_faults_add(s->faults, strbuf_cstr(&where), "%s", strbuf_cstr(&text));
    strbuf_free(&where);
    strbuf_free(&text);
}

static void begin_line(struct scanner *s, struct conf_text_line line)
{
    struct conf_text *t = s->out;

    if ((t->n_lines & (t->n_lines - 1)) == 0) {
        size_t room = t->n_lines ? t->n_lines * 2 : 1;
        struct conf_text_line *lines = realloc(t->lines, room * sizeof *lines);

        if (!lines) {
            s->out_of_memory = true;
            return;
        }
        t->lines = lines;
    }
    t->lines[t->n_lines++] = line;
    s->line = line;
}

/* ---- names and scopes ------------------------------------------------------------------------ */

static void forget_pending(struct scanner *s)
{
    free(s->pending);
    s->pending = NULL;
}

static void forget_label(struct scanner *s)
{
    free(s->label);
    s->label = NULL;
}

static void scope_close(struct scanner *s)
{
    struct scope *scope = &s->scopes[s->depth];

    for (size_t i = 0; i < scope->n_names; i++)
        free(scope->names[i].name);
    free(scope->names);
    free(scope->label);
    *scope = (struct scope){0};
}

static void print_path(const struct scanner *s, const char *name, struct strbuf *out)
{
    for (size_t i = 1; i <= s->depth; i++) {
        const struct scope *scope = &s->scopes[i];

        if (scope->label)
            strbuf_addf(out, "%s%s", out->len ? "." : "", scope->label);
        else
            strbuf_addf(out, "[%zu]", s->scopes[i - 1].index);
    }
    strbuf_addf(out, "%s%s", out->len ? "." : "", name);
}

static void open_bracket(struct scanner *s, char bracket)
{
    if (s->depth + 1 == MAX_NESTING) {
        s->overflow = true;
        return;
    }
    s->scopes[++s->depth] = (struct scope){.bracket = bracket, .label = s->label};
    s->label = NULL;
}

static void close_bracket(struct scanner *s, char bracket)
{
    char opened = s->scopes[s->depth].bracket;

    /* A bracket that does not fit is the parser's to report. */
    if (s->depth && ((bracket == '}' && opened == '{') || (bracket == ')' && opened == '(') ||
                     (bracket == ']' && opened == '['))) {
        scope_close(s);
        s->depth--;
    }
}

static void rename_duplicate(struct scanner *s, const struct seen_name *first)
{
    struct strbuf *text = &s->out->text;
    struct strbuf path = {0}, tail = {0};
    const struct conf_text_line line = first->line;

    print_path(s, s->pending, &path);
    fault_at(s, s->pending_line, "%s: is set twice; first at %s:%d", strbuf_cstr(&path),
             s->out->files[line.file], line.number);
    strbuf_add(&tail, text->data + s->pending_at, text->len - s->pending_at);
    text->len = s->pending_at;
    strbuf_addf(text, CONF_TEXT_DUPLICATE_PREFIX "%zu*", s->faults->count);
    strbuf_add(text, strbuf_cstr(&tail), tail.len);
    s->out_of_memory |= tail.failed;
    strbuf_free(&path);
    strbuf_free(&tail);
}

/* The pending name turns out to be assigned to. */
static void assign_name(struct scanner *s)
{
    struct scope *scope = &s->scopes[s->depth];
    struct seen_name *names;

    forget_label(s);
    if (scope->bracket == '(' || scope->bracket == '[') {
        forget_pending(s);
        return;
    }
    for (size_t i = 0; i < scope->n_names; i++)
        if (!strcmp(scope->names[i].name, s->pending)) {
            rename_duplicate(s, &scope->names[i]);
            s->label = s->pending;
            s->pending = NULL;
            return;
        }
    names = realloc(scope->names, (scope->n_names + 1) * sizeof *names);
    s->label = strdup(s->pending);
    if (!names || !s->label) {
        s->out_of_memory = true;
        scope->names = names ? names : scope->names;
        return;
    }
    names[scope->n_names++] = (struct seen_name){.name = s->pending, .line = s->pending_line};
    scope->names = names;
    s->pending = NULL;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '*';
}

static const char *take_name(struct scanner *s, const char *p, const char *end)
{
    const char *start = p;

    while (p < end && name_char(*p))
        p++;
    forget_pending(s);
    s->pending = strndup(start, (size_t)(p - start));
    s->pending_at = s->out->text.len;
    s->pending_line = s->line;
    s->out_of_memory |= !s->pending;
    strbuf_add(&s->out->text, start, (size_t)(p - start));
    return p;
}

enum integer { NOT_INTEGER, INTEGER_32, INTEGER_64, INTEGER_TOO_LARGE };

static enum integer hex_width(const char *digits, size_t len)
{
    if (strspn(digits, "0123456789abcdefABCDEF") < len)
        return NOT_INTEGER;
    while (len > 1 && *digits == '0') {
        digits++;
        len--;
    }
    if (len < 8 || (len == 8 && *digits <= '7'))
        return INTEGER_32;
    return len < 16 || (len == 16 && *digits <= '7') ? INTEGER_64 : INTEGER_TOO_LARGE;
}

/* How wide an integer must be to hold the `len` bytes at `p`, suffix and plus sign apart. */
static enum integer integer_width(const char *p, size_t len)
{
    bool hex = len > 2 && p[0] == '0' && tolower((unsigned char)p[1]) == 'x';
    size_t sign = *p == '-';
    char digits[24] = "";
    int64_t value;

    if (hex)
        return hex_width(p + 2, len - 2);
    if (len == sign || strspn(p + sign, "0123456789") < len - sign)
        return NOT_INTEGER;
    if (len >= sizeof digits)
        return INTEGER_TOO_LARGE;
    memcpy(digits, p, len);
    if (parse_i64(digits, &value))
        return INTEGER_TOO_LARGE;
    return value > INT32_MAX || value < INT32_MIN ? INTEGER_64 : INTEGER_32;
}

/* Copies a number; an integer that 32 bits do not hold gets the suffix that makes libconfig take it
 * as 64 bits wide, and one that 64 bits do not hold is a fault and CONF_TEXT_TOO_LARGE instead. */
static const char *take_number(struct scanner *s, const char *p, const char *end)
{
    const char *start = p + (*p == '+');
    enum integer width;
    size_t len;

    while (p < end && (isalnum((unsigned char)*p) || *p == '.' ||
                       ((*p == '-' || *p == '+') && (p < start + 1 || tolower(p[-1]) == 'e'))))
        p++;
    len = (size_t)(p - start);
    while (len && start[len - 1] == 'L')
        len--;
    width = integer_width(start, len);
    if (width == INTEGER_TOO_LARGE) {
        fault_at(s, s->line, "the number %.*s is too large", (int)len, start);
        strbuf_addf(&s->out->text, "%" PRId64, CONF_TEXT_TOO_LARGE);
    } else {
        strbuf_add(&s->out->text, start, len);
    }
    if (width >= INTEGER_64)
        strbuf_addc(&s->out->text, 'L');
    return p;
}

/* Copies up to `stop` (or the end), counting lines. */
static const char *copy_until(struct scanner *s, const char *p, const char *stop)
{
    for (; p < stop; p++) {
        strbuf_addc(&s->out->text, *p);
        if (*p == '\n')
            begin_line(s, (struct conf_text_line){s->line.file, s->line.number + 1});
    }
    return p;
}

static const char *take_string(struct scanner *s, const char *p, const char *end)
{
    const char *q = p + 1;

    while (q < end && *q != '"') {
        /* libconfig would take the rest of the string for none. */
        if (end - q >= 4 && !memcmp(q, "\\x00", 4))
            fault_at(s, s->line, "a string holds \\x00; a configuration is text");
        q += *q == '\\' && q + 1 < end ? 2 : 1;
    }
    return copy_until(s, p, q < end ? q + 1 : end);
}

static const char *comment_end(const char *p, const char *end)
{
    const char *found;

    if (p[0] == '#' || p[1] == '/') {
        found = memchr(p, '\n', (size_t)(end - p));
        return found ? found : end;
    }
    found = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
    return found ? found + 2 : end;
}

static void take_punctuation(struct scanner *s, char c)
{
    if (c == '=' || c == ':') {
        if (s->pending)
            assign_name(s);
    } else if (strchr("{([", c)) {
        open_bracket(s, c);
    } else if (strchr("})]", c)) {
        close_bracket(s, c);
    } else if (c == ',') {
        s->scopes[s->depth].index++;
    }
    if (!isspace((unsigned char)c)) {
        forget_pending(s);
        if (c != '=' && c != ':')
            forget_label(s);
    }
    strbuf_addc(&s->out->text, c);
    if (c == '\n')
        begin_line(s, (struct conf_text_line){s->line.file, s->line.number + 1});
}

static const char *take_include(struct scanner *s, const char *p, const char *end);

static bool at_line_start(const struct scanner *s)
{
    const struct strbuf *text = &s->out->text;
    size_t i = text->len;

    while (i && (text->data[i - 1] == ' ' || text->data[i - 1] == '\t'))
        i--;
    return i == 0 || text->data[i - 1] == '\n';
}

static void scan(struct scanner *s, const char *p, const char *end)
{
    static const char include[] = "@include";

    while (p < end && !s->overflow && !s->out_of_memory && !s->out->text.failed) {
        size_t left = (size_t)(end - p);

        if (*p == '"')
            p = take_string(s, p, end);
        else if (*p == '#' || (left > 1 && *p == '/' && (p[1] == '/' || p[1] == '*')))
            p = copy_until(s, p, comment_end(p, end));
        else if (*p == '@' && left >= sizeof include - 1 &&
                 !memcmp(p, include, sizeof include - 1) && at_line_start(s))
            p = take_include(s, p + sizeof include - 1, end);
        else if (isalpha((unsigned char)*p) || *p == '*')
            p = take_name(s, p, end);
        else if (isdigit((unsigned char)*p) ||
                 ((*p == '-' || *p == '+') && left > 1 && isdigit((unsigned char)p[1])))
            p = take_number(s, p, end);
        else
            take_punctuation(s, *p++);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static int read_all(int fd, struct strbuf *into)
{
    char block[16384];
    ssize_t n;

    while ((n = read(fd, block, sizeof block)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (into->len + (size_t)n > MAX_FILE_BYTES)
            return -EFBIG;
        strbuf_add(into, block, (size_t)n);
    }
    return into->failed ? -ENOMEM : 0;
}

static int load_file(struct scanner *s, const char *path, struct file_id *id, struct strbuf *into)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;
    struct stat st;

    if (fd < 0)
        return -errno;
    r = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : read_all(fd, into);
    close(fd);
    if (r)
        return r;
    *id = (struct file_id){st.st_dev, st.st_ino};
    for (size_t i = 0; i < s->n_open; i++)
        if (s->open_files[i].dev == id->dev && s->open_files[i].ino == id->ino)
            return -ELOOP;
    return 0;
}

static int add_file_name(struct conf_text *t, const char *path)
{
    char **files = realloc(t->files, (t->n_files + 1) * sizeof *files);

    if (!files)
        return -ENOMEM;
    t->files = files;
    files[t->n_files] = strdup(path);
    return files[t->n_files] ? (t->n_files++, 0) : -ENOMEM;
}

/* Appends a file's text.  `from` is the line that includes it, NULL for the first file. */
static int append_file(struct scanner *s, const char *path, const struct conf_text_line *from)
{
    struct strbuf content = {0};
    struct file_id id;
    int r = s->n_open == MAX_INCLUDE_DEPTH ? -EMLINK : load_file(s, path, &id, &content);
    const char *zero = r ? NULL : memchr(strbuf_cstr(&content), '\0', content.len);

    if (r == -ELOOP && from)
        fault_at(s, *from, "@include \"%s\": the file includes itself", path);
    else if (r == -EMLINK && from)
        fault_at(s, *from, "@include \"%s\": more than %d files deep", path, MAX_INCLUDE_DEPTH);
    else if (r && r != -ENOMEM && from)
        fault_at(s, *from, "@include \"%s\": cannot read the file: %s", path, strerror(-r));
    else if (r && r != -ENOMEM)
        conf_faults_add(s->faults, path, "cannot read the file: %s", strerror(-r));
    else if (zero) {
        conf_faults_add(s->faults, path, "holds a NUL byte at offset %td; a configuration is text",
                        zero - content.data);
        r = -EINVAL;
    } else if (!r)
        r = add_file_name(s->out, path);
    if (!r) {
        s->open_files[s->n_open++] = id;
        begin_line(s, (struct conf_text_line){s->out->n_files - 1, 1});
        scan(s, strbuf_cstr(&content), strbuf_cstr(&content) + content.len);
        s->n_open--;
    }
    strbuf_free(&content);
    return r;
}

static bool ends_with_newline(const struct strbuf *text)
{
    return text->len && text->data[text->len - 1] == '\n';
}

static void include_file(struct scanner *s, const char *name, size_t len)
{
    const struct conf_text_line from = s->line;
    const char *includer = s->out->files[from.file];
    const char *slash = strrchr(includer, '/');
    struct strbuf path = {0};
    int r;

    if (name[0] != '/' && slash)
        strbuf_add(&path, includer, (size_t)(slash - includer) + 1);
    strbuf_add(&path, name, len);
    /* The included text starts on a line of its own, and so does what follows it. */
    strbuf_addc(&s->out->text, '\n');
    r = append_file(s, strbuf_cstr(&path), &from);
    if (r == -ENOMEM)
        s->out_of_memory = true;
    else if (!r && !ends_with_newline(&s->out->text))
        strbuf_addc(&s->out->text, '\n');
    else if (!r)
        s->out->n_lines--; /* begun behind the included file's last newline: it is ours */
    begin_line(s, from);
    strbuf_free(&path);
    if (s->out->text.len > MAX_TEXT_BYTES)
        s->overflow = true;
}

static const char *take_include(struct scanner *s, const char *p, const char *end)
{
    const char *eol = memchr(p, '\n', (size_t)(end - p));
    const char *open, *close;

    eol = eol ? eol : end;
    for (open = p; open < eol && (*open == ' ' || *open == '\t');)
        open++;
    close = open < eol && *open == '"' ? memchr(open + 1, '"', (size_t)(eol - open - 1)) : NULL;
    if (!close || close == open + 1) {
        fault_at(s, s->line, "@include needs the name of a file in double quotes");
        return eol;
    }
    include_file(s, open + 1, (size_t)(close - open - 1));
    return close + 1;
}

/* Frees what scanning needed; `r` is how it went. */
static int finish(struct scanner *s, int r)
{
    if (s->overflow) {
        fault_at(s, s->line, "more than %d brackets deep or more than %d MiB of text",
                 MAX_NESTING - 1, MAX_TEXT_BYTES >> 20);
        r = -EINVAL;
    }
    if (s->out_of_memory || s->out->text.failed)
        r = -ENOMEM;
    for (;; s->depth--) {
        scope_close(s);
        if (!s->depth)
            break;
    }
    forget_pending(s);
    forget_label(s);
    return r;
}

int conf_text_load(const char *path, struct conf_text *out, struct conf_faults *faults)
{
    struct scanner s = {.out = out, .faults = faults};

    *out = (struct conf_text){0};
    return finish(&s, append_file(&s, path, NULL));
}

int conf_text_from_string(const char *name, const char *string, struct conf_text *out,
                          struct conf_faults *faults)
{
    struct scanner s = {.out = out, .faults = faults};
    int r;

    *out = (struct conf_text){0};
    r = add_file_name(out, name);
    if (!r) {
        begin_line(&s, (struct conf_text_line){0, 1});
        scan(&s, string, string + strlen(string));
    }
    return finish(&s, r);
}

void conf_text_free(struct conf_text *text)
{
    strbuf_free(&text->text);
    for (size_t i = 0; i < text->n_files; i++)
        free(text->files[i]);
    free(text->files);
    free(text->lines);
    *text = (struct conf_text){0};
}
