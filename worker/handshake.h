/* worker/handshake.h — both sides of a new connection agree on how to encrypt. */
#pragma once

struct lc_conn;

/* The socket is ready. Costly, so a turn of the loop has only so much time for all handshakes. */
void lc_handshake_go_on(struct lc_conn *conn);

/* handshake_timeout has passed. */
void lc_handshake_late(struct lc_conn *conn);

/* The worker stops: who has not said a word has no request under way. */
void lc_handshake_drain(struct lc_conn *conn);
