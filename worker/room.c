#include "worker/room.h"

#include "worker/accept.h"
#include "worker/conn.h"
#include "worker/deadline.h"
#include "worker/intake.h"
#include "worker/lend.h"
#include "worker/share.h"

enum { LOOK_MS = 1 };

/* --- siblings that may have room ------------------------------------------------------------- */

static void on_look(uv_timer_t *timer);

static void keep_looking(struct lc_server *server)
{
    if (server->room.is_looking)
        return;
    server->room.is_looking = true;
    uv_timer_start(&server->room.timer, on_look, LOOK_MS, LOOK_MS);
}

static bool has_taker(const struct lc_server *server)
{
    return lc_share_has_taker(server) && !lc_share_is_pending(server);
}

/* One at a time: the taker may be the only one. First those that were read ahead before calls became
 * slow; of the others, who cannot go stays behind the rest. */
static void pass_one(struct lc_server *server)
{
    struct lc_conn *conn = lc_lender_recall(server->lender);

    if (conn != NULL) {
        if (!lc_share_pass(conn))
            lc_lend(conn);
        return;
    }
    conn = LC_LIST_FIRST(&server->room.waiting, struct lc_conn, waiting);
    if (conn == NULL || (lc_share_is_ripe(conn) && lc_share_pass(conn)))
        return;
    lc_list_remove(&conn->waiting);
    lc_list_append(&server->room.waiting, &conn->waiting);
}

/* Nothing is here that a sibling might do. */
static bool is_content(const struct lc_server *server)
{
    return lc_server_has_room(server) && lc_list_is_empty(&server->room.waiting) &&
           !server->room.is_accepting_paused;
}

/* Whoever has fewer connections has had the time to take the new one. */
static void insist(struct lc_server *server)
{
    lc_room_accept_all(server);
    lc_accept_some(server);
}

static void on_look(uv_timer_t *timer)
{
    struct lc_server *server = LC_CONTAINER(timer, struct lc_server, room.timer);

    lc_room_on_free(server);
    if (!lc_server_has_room(server) && has_taker(server))
        pass_one(server);
    if (server->room.is_ahead)
        insist(server);
    else if (!lc_share_has_taker(server))
        lc_room_accept_all(server);
    if (is_content(server) || !lc_lender_is_open(server->lender)) {
        server->room.is_looking = false;
        uv_timer_stop(timer);
    }
}

/* --- requests ----------------------------------------------------------------------------------- */

bool lc_room_must_wait(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    if (lc_server_has_room(server) || !lc_lender_is_open(server->lender))
        return false;
    /* A thread may be free in a moment: nothing is passed at once. */
    keep_looking(server);
    if (!lc_lender_is_slow(server->lender))
        return false;
    lc_conn_watch(conn, 0);
    lc_conn_no_deadline(conn); /* its client has done its part */
    lc_list_remove(&conn->waiting);
    lc_list_append(&server->room.waiting, &conn->waiting);
    return true;
}

void lc_room_look(struct lc_server *server)
{
    if (!lc_server_has_room(server))
        keep_looking(server);
}

void lc_room_await(struct lc_conn *conn)
{
    lc_list_append(&conn->server->room.waiting, &conn->waiting);
    keep_looking(conn->server);
}

static void go_on(struct lc_conn *conn)
{
    lc_list_remove(&conn->waiting);
    if (conn->state == LC_CONN_WAITING) {
        lc_intake_go_on(conn);
        return;
    }
    lc_conn_await_request(conn);
    lc_conn_watch(conn, UV_READABLE);
    lc_conn_begin(conn);
}

void lc_room_on_free(struct lc_server *server)
{
    struct lc_conn *conn;

    while (lc_server_has_room(server) &&
           (conn = LC_LIST_FIRST(&server->room.waiting, struct lc_conn, waiting)) != NULL)
        go_on(conn);
    if (!lc_server_has_room(server))
        return;
    if (!server->room.is_ahead)
        lc_room_accept_all(server);
    if (server->is_accepting)
        lc_share_resume(server);
}

/* --- connections -------------------------------------------------------------------------------- */

bool lc_room_declines(struct lc_server *server)
{
    bool has_room = lc_server_has_room(server);

    if (has_room ? !lc_share_is_ahead(server) : !lc_share_has_taker(server))
        return false;
    server->room.is_ahead = has_room;
    server->room.is_accepting_paused = true;
    lc_accept_pause(server);
    keep_looking(server);
    return true;
}

bool lc_room_declines_passed(struct lc_server *server)
{
    if (lc_server_has_room(server))
        return false;
    lc_share_pause(server);
    return true;
}

void lc_room_accept_all(struct lc_server *server)
{
    if (!server->room.is_accepting_paused)
        return;
    server->room.is_accepting_paused = server->room.is_ahead = false;
    lc_accept_resume(server);
}

void lc_room_init(struct lc_server *server)
{
    lc_list_init(&server->room.waiting);
    uv_timer_init(&server->loop, &server->room.timer);
}
