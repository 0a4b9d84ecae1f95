/* intake.h - from a checked head to a request that can run.  The loop's thread only. */
#ifndef HANDOFFD_INTAKE_H
#define HANDOFFD_INTAKE_H

#include "exchange.h"
#include "guard.h"

/* Takes the head apart, finds the route and copies what its action needs.  What is wrong with the
 * request is put into its response.  The head is not needed afterwards. */
void intake_head(struct exchange *exchange, const struct guard_head *head);

/* The most bytes of body that the request may have. */
uint64_t intake_max_body(const struct exchange *exchange);

/* Whether the request goes to an action that takes its body as a stream. */
bool intake_streams_body(const struct exchange *exchange);

/* What is allowed, if the fault is that a limit was passed; 0 otherwise. */
uint64_t intake_limit(const struct conn *conn, const struct guard_fault *fault);

/* Adds a piece of the body, if the action wants it.  0 or -ENOMEM. */
int intake_body(struct exchange *exchange, const char *data, size_t len) WARN_UNUSED;

/* The request is refused: makes the answer to it the last on its connection.  `head` is what is
 * known of it, or NULL. */
void intake_refuse(struct exchange *exchange, const struct guard_head *head, int status,
                   const char *detail);

/* Its action wants another path to be answered instead (request->redirect), as GET or HEAD and
 * without the body. */
void intake_redirect(struct exchange *exchange);

/* The request is complete: runs it, or sends the answer that it has already. */
void intake_run(struct exchange *exchange);

#endif
