/* worker/exchange.h — the pool from which connections borrow what a request needs. */
#pragma once
#include <stdbool.h>

struct lc_conn;
struct lc_exchange;
struct lc_server;

/* A fresh exchange for the connection's next request. */
struct lc_exchange *lc_exchange_lend(struct lc_server *server, struct lc_conn *conn);

/* Everything that belongs to the request ends here: arena, body, file. */
void lc_exchange_return(struct lc_server *server, struct lc_exchange *exchange);

/* Whether nothing of the request is still to come, here or where it was received. */
bool lc_exchange_is_received(const struct lc_exchange *exchange);

/* Frees the pool. */
void lc_exchange_free_all(struct lc_server *server);
