#include "worker/deadline.h"

#include "config/config.h"
#include "worker/conn.h"

enum { MORE_THAN_A_LITTLE = 4096 }; /* see keep_pace */

/* --- by kind ---------------------------------------------------------------------------------- */

void lc_conn_no_deadline(struct lc_conn *conn)
{
    lc_list_remove(&conn->due);
}

void lc_conn_deadline(struct lc_conn *conn, enum lc_deadline kind)
{
    uint64_t patience = lc_server_patience(conn->server, kind);

    lc_list_remove(&conn->due);
    if (patience == 0)
        return;
    conn->due_ms = uv_now(&conn->server->loop) + patience;
    lc_list_append(&conn->server->deadlines[kind], &conn->due);
}

void lc_conn_await_last(struct lc_conn *conn)
{
    const struct lc_server *server = conn->server;
    bool will_be_passed = conn->wire.tls == NULL && lc_share_has_heir(server);

    lc_conn_deadline(conn, !will_be_passed && lc_share_goes_on(server)
                               ? LC_DEADLINE_STAY
                               : LC_DEADLINE_DRAIN);
}

void lc_conn_await_request(struct lc_conn *conn)
{
    if (conn->server->is_draining)
        lc_conn_await_last(conn);
    else
        lc_conn_deadline(conn, LC_DEADLINE_IDLE);
}

void lc_conn_await_head(struct lc_conn *conn)
{
    lc_conn_deadline(conn,
                     conn->server->is_draining ? LC_DEADLINE_LAST : LC_DEADLINE_HEAD);
}

/* --- by pace ---------------------------------------------------------------------------------- */

static uint64_t now_us(const struct lc_conn *conn)
{
    return uv_now(&conn->server->loop) * 1000;
}

/* How slowly the client of a relayed connection takes its answer is for the origin to judge. */
static uint64_t patience_with(const struct lc_conn *conn, enum lc_deadline kind)
{
    if (conn->wire.is_relayed && kind == LC_DEADLINE_WRITE)
        return 0;
    return lc_server_patience(conn->server, kind);
}

static void start_pace(struct lc_conn *conn, enum lc_deadline kind, int64_t rate)
{
    lc_pace_start(&conn->pace, patience_with(conn, kind), rate, now_us(conn));
    conn->kept_us = conn->server->kept_us;
    lc_conn_deadline(conn, kind);
}

void lc_conn_await_body(struct lc_conn *conn)
{
    conn->server->has_unfinished = true;
    conn->paced = conn->exchange->body.size;
    conn->emptied_us = 0;
    start_pace(conn, LC_DEADLINE_BODY, conn->server->config->body_min_rate);
}

/* An answer that is made piece by piece has one pace. It is not the client who was waited for
 * while all that there was had left. */
void lc_conn_await_room(struct lc_conn *conn)
{
    if (conn->emptied_us == 0) {
        start_pace(conn, LC_DEADLINE_WRITE, conn->server->config->write_min_rate);
        return;
    }
    lc_pace_excuse(&conn->pace, now_us(conn) - conn->emptied_us);
    conn->kept_us = conn->server->kept_us;
    lc_conn_deadline(conn, LC_DEADLINE_LOOK);
}

/* While a call keeps the loop a client can go on only until the socket is full, or empty. Who has
 * done more than a little meanwhile may have waited for us: the call is not its time. */
static void keep_pace(struct lc_conn *conn, enum lc_deadline kind, uint64_t bytes)
{
    uint64_t kept_us = conn->server->kept_us;

    if (bytes >= MORE_THAN_A_LITTLE)
        lc_pace_excuse(&conn->pace, kept_us - conn->kept_us);
    conn->kept_us = kept_us;
    if (lc_pace_gain(&conn->pace, bytes, now_us(conn)))
        lc_conn_deadline(conn, kind);
}

void lc_conn_on_body(struct lc_conn *conn)
{
    uint64_t size = conn->exchange->body.size;

    keep_pace(conn, LC_DEADLINE_BODY, size - conn->paced);
    conn->paced = size;
}

void lc_conn_on_left(struct lc_conn *conn, size_t bytes)
{
    keep_pace(conn, LC_DEADLINE_WRITE, bytes);
    if (conn->queue != NULL)
        return;
    lc_conn_no_deadline(conn);
    conn->emptied_us = now_us(conn);
}

bool lc_conn_is_late(const struct lc_conn *conn)
{
    return lc_pace_is_late(&conn->pace, now_us(conn));
}
