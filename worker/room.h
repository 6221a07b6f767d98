/* worker/room.h — what happens while all of the application's threads are busy (gthread).
 *
 * While calls are quick requests are read ahead, so that a thread finds its next one at once. While
 * calls are slow they wait unread in their sockets. Those that have waited for about a
 * millisecond go to siblings that could begin them, and with them those that were read before
 * calls became slow. */
#pragma once
#include "base/list.h"

#include <stdbool.h>
#include <uv.h>

struct lc_conn;
struct lc_server;

struct lc_room {
    uv_timer_t timer; /* while anything waits: looks whether siblings have room by now */
    struct lc_list waiting; /* connections with a request for which there was no room */
    bool is_looking;        /* the timer runs                                          */
    bool is_accepting_paused; /* new connections should be siblings'                   */
    bool is_ahead; /* … because this worker has more than they              */
};

void lc_room_init(struct lc_server *server);

/* The next request of an idle connection has come. True: it must not be read now. */
bool lc_room_must_wait(struct lc_conn *conn);

/* A request is about to be lent: without a free thread it may have to go to a sibling after all. */
void lc_room_look(struct lc_server *server);

/* LC_CONN_WAITING: its request has its turn when a thread is free, here or with a sibling. */
void lc_room_await(struct lc_conn *conn);

/* A new connection has come. True: it is left to a sibling for a moment, because all threads are
 * busy here, or because this worker has more connections than others. */
bool lc_room_declines(struct lc_server *server);

/* A passed connection has come: leaves it to a sibling if there is no room here. */
bool lc_room_declines_passed(struct lc_server *server);

/* A thread is free. */
void lc_room_on_free(struct lc_server *server);

/* No siblings count any more: new connections are accepted again. */
void lc_room_accept_all(struct lc_server *server);
