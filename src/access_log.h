/* access_log.h - a line for every request that is over, in the Combined Log Format or as JSON. */
#ifndef HANDOFFD_ACCESS_LOG_H
#define HANDOFFD_ACCESS_LOG_H

#include "conf.h"
#include "parse_num.h"

#include <stdbool.h>
#include <time.h>

struct exchange;
struct guard_head;
struct line_target;
struct line_writer;
struct loop;

/* ---- the main thread ------------------------------------------------------------------------- */

/* For line_writer_new. */
void access_log_failed(int error);

/* Opens what the configuration names, again if it is open already.  0, or -errno with the reason in
 * `why`. */
int access_log_open(const struct conf *conf, struct line_target **out,
                    struct strbuf *why) WARN_UNUSED;

/* ---- the loop's thread ----------------------------------------------------------------------- */

enum { ACCESS_LINE_SIZE = 24 << 10 };

/* What a loop keeps for its lines. */
struct access_lines {
    time_t second; /* what `stamp` is for */
    char stamp[32];
    time_t utc_second; /* the same for JSON */
    char utc_stamp[32];
    bool added; /* in this turn */
    char line[ACCESS_LINE_SIZE];
};

/* Remembers what the line will need of the head, if lines are written.  NULL: there was no head. */
void access_log_begin(struct exchange *exchange, const struct guard_head *head);

/* Writes the line. */
void access_log_end(struct exchange *exchange, int status, int64_t now_ns);

/* At the end of a turn. */
void access_log_flush(struct loop *loop);

#endif
