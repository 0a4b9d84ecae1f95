#include "conn_state.h"

#include "exchange.h"
#include "server.h"

static enum conn_state state_of(const struct conn *conn)
{
    switch ((enum conn_phase)conn->phase) {
    case CONN_READING:
        return guard_phase(&conn->guard) == GUARD_IDLE ? CONN_STATE_IDLE : CONN_STATE_READING;
    case CONN_BUSY:
    case CONN_STREAMING:
        return CONN_STATE_ANSWERING;
    case CONN_WRITING:
        return CONN_STATE_WRITING;
    case CONN_LINGERING:
        break;
    }
    return CONN_STATE_CLOSING;
}

void conn_state_begin(struct conn *conn)
{
    conn->counted = state_of(conn);
    server_count_connection(conn->binding, conn->counted, +1);
}

void conn_state_update(struct conn *conn)
{
    enum conn_state state = state_of(conn);

    if (state == conn->counted)
        return;
    server_count_connection(conn->binding, conn->counted, -1);
    server_count_connection(conn->binding, state, +1);
    conn->counted = state;
}

void conn_state_forget_unsent(const struct conn *conn)
{
    uint64_t unsent = conn->output.pending;
    uint64_t *sent = &conn->exchange->body_sent;

    *sent -= unsent < *sent ? unsent : *sent;
}

void conn_state_end(struct conn *conn)
{
    if (conn->exchange && conn->output.pending)
        conn_state_forget_unsent(conn);
    server_count_connection(conn->binding, conn->counted, -1);
}
