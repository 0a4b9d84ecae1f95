/* reply.h - puts an answer on the wire.  The loop's thread only. */
#ifndef HANDOFFD_REPLY_H
#define HANDOFFD_REPLY_H

#include "exchange.h"

/* Sends the exchange's response (after its `hold_ns`, if any) and ends the exchange, now or when the
 * last byte is written.  The exchange must not be used afterwards. */
void reply_send(struct exchange *exchange);

/* Whether the answer has a body that goes out: not for HEAD, nor for statuses without one. */
bool reply_has_body(const struct exchange *exchange);

/* Puts the head of an answer that a worker streams into the connection's output.  0 or -ENOMEM. */
int reply_add_head(struct exchange *exchange) WARN_UNUSED;

/* Answers with 503 `draining`, whatever answer there was. */
void reply_draining(struct exchange *exchange);

/* Answers every exchange that is held back by its `hold_ns` with 503 `draining`. */
void reply_refuse_held(struct loop *loop);

#endif
