/* master/control/control.h — the control socket: questions and orders for a running server.
 *
 * Frames (frame.h) of JSON both ways, as Gunicorn's control socket has them; one answer for each
 * request, in order. All is non-blocking and bounded: a client has one request and one answer in
 * memory, is not listened to while its answer has not left, and is closed after five minutes of
 * silence, or earlier if it is the most silent one and its place is needed. The kernel and the
 * mode of the file say who may connect; unless the mode admits others, only root and the
 * server's own user are answered.
 *
 * Nothing here ends the server or keeps it from starting: without a socket it has no control. */
#pragma once

struct lc_master;

/* Says in one line where it is, or why there is none. */
void lc_control_open(struct lc_master *m);

/* The master's chores: takes what clients sent; sends what has been waited for. */
void lc_control_hear(struct lc_master *m);
void lc_control_answer(struct lc_master *m);

/* A reload has ended (m->reloaded): whoever waits for it is told. */
void lc_control_on_reloaded(struct lc_master *m);

/* The predecessor has gone: its path is ours. */
void lc_control_promote(struct lc_master *m);

/* Where the socket is; NULL: there is none. */
const char *lc_control_path(const struct lc_master *m);

/* The end of the server: tells those who wait for it, and removes the file. */
void lc_control_close(struct lc_master *m);

/* In a child: lets go of everything and touches no file. */
void lc_control_drop(struct lc_master *m);
