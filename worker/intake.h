/* worker/intake.h — what a client sends: reads it, feeds it to the parser, keeps what comes too
 * early, and refuses what cannot be taken. */
#pragma once
#include <licorne/slice.h>

#include <stdint.h>

struct lc_conn;

/* The socket has bytes, or the client's end of them. */
void lc_intake_on_readable(struct lc_conn *conn);

/* A connection begins with bytes that were read of it elsewhere. */
void lc_intake_feed(struct lc_conn *conn, struct lc_slice bytes);

/* The same, when the first request has been received: its body is what `file` begins with, which is the
 * connection's from now on, or `body` when that is -1. */
void lc_intake_adopt(struct lc_conn *conn, struct lc_slice bytes, struct lc_slice body,
                     int file, uint64_t body_len);

/* LC_CONN_WAITING: the application has time for the request now. */
void lc_intake_go_on(struct lc_conn *conn);

/* All answers have left: the connection goes on with what its client sent meanwhile. */
void lc_intake_read_on(struct lc_conn *conn);

/* A request whose body was streamed has been answered: the connection reads for itself again. */
void lc_intake_take_back(struct lc_conn *conn);

/* The body cannot be kept, and the log says why: 500. */
void lc_intake_fail(struct lc_conn *conn);

/* The head or the body did not come in time: 408. */
void lc_intake_late(struct lc_conn *conn);

/* What was read and could not be used yet waits for more; it may be a part of what waits already. */
void lc_intake_keep(struct lc_conn *conn, struct lc_slice rest);

/* Forgets what was read and not used. */
void lc_intake_drop(struct lc_conn *conn);
