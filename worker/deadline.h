/* worker/deadline.h — until when a connection's client has time for what it is to do. */
#pragma once
#include "worker/server.h"

#include <stdbool.h>
#include <stddef.h>

struct lc_conn;

/* From now on, for as long as such a deadline lasts (lc_server_patience); it replaces another. */
void lc_conn_deadline(struct lc_conn *conn, enum lc_deadline kind);
void lc_conn_no_deadline(struct lc_conn *conn);

/* Idle: how long the next request may take to come; reading: how long the head, to be complete;
 * receiving: how slow the body may be; with a queue: how slow its client. */
void lc_conn_await_request(struct lc_conn *conn);
void lc_conn_await_head(struct lc_conn *conn);
void lc_conn_await_last(struct lc_conn *conn); /* the worker is leaving */
void lc_conn_await_body(struct lc_conn *conn);
void lc_conn_await_room(struct lc_conn *conn);

/* Some of the body has come; `bytes` have left the queue, and it may be empty now. */
void lc_conn_on_body(struct lc_conn *conn);
void lc_conn_on_left(struct lc_conn *conn, size_t bytes);

/* Whether the client has been too slow. */
bool lc_conn_is_late(const struct lc_conn *conn);
