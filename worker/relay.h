/* worker/relay.h — an encrypted connection whose request a sibling answers.
 *
 * What OpenSSL has agreed on cannot leave its process. So what is passed (worker/share.h) is one end
 * of a pair of sockets, and this worker, the origin, goes on to decrypt and to encrypt: what the
 * client sends goes into the pair, what comes out of it goes to the client. Whoever has the server does
 * that, the loop or, during a long call, the relief thread. Either direction holds what its
 * receiver did not take, and is not read from meanwhile.
 *
 * The taker has an ordinary connection. When all answers have left it hands its end back, and with
 * it what it has not read: the connection is its origin's again, as if it had never been away. */
#pragma once
#include <stdbool.h>

struct lc_conn;

/* --- the origin --- */

/* Whether the connection can be passed in this way only. */
bool lc_relay_is_needed(const struct lc_conn *conn);

/* Makes the pair; the end that is to be passed, the caller's. -1 with errno. */
int lc_relay_open(struct lc_conn *conn);

/* It was passed. */
void lc_relay_begin(struct lc_conn *conn);

/* LC_CONN_RELAYED: moves what can be moved. Afterwards the connection may be idle again or linger;
 * what the application has to do with that is left to the loop's next turn. */
void lc_relay_go_on(struct lc_conn *conn);

/* Closes the pair; harmless when there is none. */
void lc_relay_end(struct lc_conn *conn);

/* --- the taker --- */

/* The connection is idle: the origin has it back if it is a relayed one. */
void lc_relay_give_back(struct lc_conn *conn);
