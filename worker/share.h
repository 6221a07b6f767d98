/* worker/share.h — connections that this worker passes to its siblings, and those it takes from
 * them, through the one queue of all workers (base/passing.h).
 *
 * What is passed is a connection whose next request waits, in its socket or read to its end, while
 * this worker cannot begin it and another could; and one that is idle, when this worker leaves. What
 * goes along with it: worker/note.h. */
#pragma once
#include "base/list.h"

#include <stdbool.h>
#include <uv.h>

struct lc_conn;
struct lc_error;
struct lc_server;

struct lc_share {
    uv_poll_t poll; /* the queue has a connection for whoever is first */
    bool is_taking;
    bool is_due; /* a call took its time: others may have been waiting in the queue */
    struct lc_list strangers; /* listeners that only siblings have               */
    struct lc_list passed;    /* connections gone, whose keeps must be released  */
};

void lc_share_init(struct lc_server *server);
int lc_share_start(struct lc_server *server, struct lc_error *err);

/* Whether connections are taken just now; accept.c decides. */
void lc_share_resume(struct lc_server *server);
void lc_share_pause(struct lc_server *server);

/* Serves the first connection in the queue; false when there is none. */
bool lc_share_take(struct lc_server *server);

/* After a long call what waits in the queue has its turn before what waits in the loop. */
void lc_share_take_turn(struct lc_server *server);

/* Before the worker leaves: takes what would be left behind. True if there was any. */
bool lc_share_inherit(struct lc_server *server);

/* Whether others serve beside this worker, and whether one of them could begin a request now. */
bool lc_share_has_siblings(const struct lc_server *server);
bool lc_share_has_taker(const struct lc_server *server);

/* Whether one of them stays and will come round to another connection, if not at once. */
bool lc_share_has_heir(const struct lc_server *server);

/* Whether the service goes on without this worker: its siblings serve, or another master's workers. */
bool lc_share_goes_on(const struct lc_server *server);

/* Whether one of them has room, and clearly fewer connections than this worker. */
bool lc_share_is_ahead(const struct lc_server *server);

/* Whether a passed connection still waits for its taker. */
bool lc_share_is_pending(const struct lc_server *server);

/* It waits for its client, and could do so anywhere (an encrypted one: by a relay). */
bool lc_share_is_at_rest(const struct lc_conn *conn);

/* Its request is complete and waits; or nothing of it is read, and nothing unsent, but its client has
 * just sent something. False too when that client only closed its end. */
bool lc_share_is_ripe(struct lc_conn *conn);

/* It is idle, or has a request that the application has not seen. An encrypted one goes by a relay
 * (worker/relay.h). */
bool lc_share_is_portable(const struct lc_conn *conn);

/* True: the connection is a sibling's now, and gone here unless it is relayed. */
bool lc_share_pass(struct lc_conn *conn);

/* What the application kept with passed connections, released on the loop's thread. */
void lc_share_release_keeps(struct lc_server *server);

void lc_share_deinit(struct lc_server *server);
