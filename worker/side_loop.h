/* worker/side_loop.h — the loop's work while a call keeps the loop: what the relief thread
 * (worker/relief.h) does with the server that it has borrowed.
 *
 * All but calling the application: what needs that waits as one of server->restless
 * (lc_conn_needs_loop), or goes to a sibling. What is the application's to release waits in
 * share.passed and server->spent. */
#pragma once
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct lc_conn;
struct lc_server;

struct lc_side_loop {
    struct lc_list
        ripe;   /* connections whose next request has come, unread; oldest first */
    int watch;  /* an epoll of all connections; -1: not open             */
    int relays; /* another, of those that siblings have, both ways; or -1 */
};

enum lc_side_outcome {
    LC_SIDE_MOVED,   /* some connection got further, or went to a sibling */
    LC_SIDE_STUCK,   /* none could: no sibling has room, or none is ripe  */
    LC_SIDE_NO_NEED, /* there is nothing to do for any                    */
};

void lc_side_loop_init(struct lc_server *server);

/* -1 with errno. Closing is fine then, and when it was never opened. */
int lc_side_loop_open(struct lc_server *server);
void lc_side_loop_close(struct lc_server *server);

/* Connections as they come and go, and when they, or other events of theirs, are waited for again. */
void lc_side_loop_meet(struct lc_conn *conn);
void lc_side_loop_follow(struct lc_conn *conn);
void lc_side_loop_forget(struct lc_conn *conn);

/* Of a relayed connection: the events (of epoll) of its socket, or of its relay's end, that are
 * waited for. */
void lc_side_loop_attend(struct lc_conn *conn, int fd, uint32_t before, uint32_t events);

/* Moves what can be moved of connections that siblings have. True if something is still to be done
 * at once. */
bool lc_side_loop_relay(struct lc_server *server);

/* A turn for all the others: what is unsent leaves, a few that are ready get further, at most one
 * goes to a sibling. */
enum lc_side_outcome lc_side_loop_turn(struct lc_server *server);
