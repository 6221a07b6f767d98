/* worker/reply.h — how answers leave: held until the loop's turn ends, written together, queued
 * where the client is slow. */
#pragma once
#include "worker/conn.h"

/* The table that requests get. */
extern const struct lc_host_ops lc_reply_ops;
bool lc_reply_may_keep(const struct lc_request *request);
struct lc_slice lc_reply_date_line(const struct lc_request *request);

/* Writes what a connection, or all of them, hold back. */
void lc_reply_flush(struct lc_conn *conn);
void lc_reply_flush_all(struct lc_server *server);

/* Sends bytes that are no controller's (an error page, 100 Continue); copied. */
void lc_reply_raw(struct lc_conn *conn, struct lc_slice bytes);

/* The socket takes bytes again: sends from the queue. */
void lc_reply_on_writable(struct lc_conn *conn);

/* Forgets everything unsent. */
void lc_reply_discard(struct lc_conn *conn);
