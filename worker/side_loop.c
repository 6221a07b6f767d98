#include "worker/side_loop.h"

#include "base/fd.h"
#include "base/log.h"
#include "worker/conn.h"
#include "worker/relay.h"
#include "worker/reply.h"
#include "worker/share.h"

#include <poll.h>
#include <sys/epoll.h>

enum {
    READY_COUNT = 16, /* connections looked at, at a time            */
    MEET_COUNT = 64,  /* connections added to the watched, at a time */
    RELAY_COUNT = 32, /* events of relays, at a time                 */
};

/* --- whom it knows ---------------------------------------------------------------------------- */

static struct epoll_event awaited(struct lc_conn *conn)
{
    return (struct epoll_event){.events = (conn->events & UV_READABLE ? EPOLLIN : 0u) |
                                          (conn->events & UV_WRITABLE ? EPOLLOUT : 0u),
                                .data.ptr = conn};
}

void lc_side_loop_meet(struct lc_conn *conn)
{
    lc_list_append(&conn->server->unwatched, &conn->unwatched);
}

void lc_side_loop_follow(struct lc_conn *conn)
{
    struct epoll_event event = awaited(conn);

    conn->is_ripe = false;
    if (conn->is_watched)
        epoll_ctl(conn->server->side_loop.watch, EPOLL_CTL_MOD, conn->wire.fd, &event);
}

void lc_side_loop_forget(struct lc_conn *conn)
{
    lc_list_remove(&conn->unwatched);
    /* Closing would not do: the socket lives on in a sibling, or in a process that the
     * application has forked. */
    if (conn->is_watched)
        epoll_ctl(conn->server->side_loop.watch, EPOLL_CTL_DEL, conn->wire.fd, NULL);
    conn->is_watched = false;
}

void lc_side_loop_attend(struct lc_conn *conn, int fd, uint32_t before, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (before == events || conn->server->side_loop.relays < 0)
        return;
    epoll_ctl(conn->server->side_loop.relays,
              before == 0   ? EPOLL_CTL_ADD
              : events == 0 ? EPOLL_CTL_DEL
                            : EPOLL_CTL_MOD,
              fd, &event);
}

static void watch_new_connections(struct lc_server *server)
{
    struct lc_list *unwatched = &server->unwatched;
    struct lc_conn *conn;

    for (int i = 0; i < MEET_COUNT; i++) {
        if ((conn = LC_LIST_FIRST(unwatched, struct lc_conn, unwatched)) == NULL)
            break;
        struct epoll_event event = awaited(conn);

        lc_list_remove(&conn->unwatched);
        conn->is_watched = epoll_ctl(server->side_loop.watch, EPOLL_CTL_ADD,
                                     conn->wire.fd, &event) == 0;
    }
}

/* --- what it does ------------------------------------------------------------------------------ */

/* It waits for a sibling with bytes that no socket tells of. What it had may have gone by a relay, which
 * has come to its end. */
static bool waits_with_bytes(const struct lc_conn *conn)
{
    return lc_share_is_at_rest(conn) &&
           (conn->pending_len != 0 || lc_wire_has_more(&conn->wire));
}

/* Those with bytes that no socket tells of: only the relays of them, or the others. True if any has
 * still more. */
static bool serve_restless(struct lc_server *server, bool are_relays)
{
    struct lc_conn *conn;
    unsigned count = 0;
    bool has_more = false;

    LC_LIST_EACH (at, &server->restless)
        count++;
    for (; count > 0 && (conn = LC_LIST_FIRST(&server->restless, struct lc_conn, more));
         count--) {
        lc_list_remove(&conn->more);
        if ((conn->state == LC_CONN_RELAYED) != are_relays || lc_conn_needs_loop(conn) ||
            waits_with_bytes(conn)) {
            lc_list_append(&server->restless, &conn->more);
        } else if (!lc_share_is_at_rest(conn)) {
            lc_conn_take_turn(conn);
            has_more |= !lc_list_is_empty(&conn->more);
        }
    }
    return has_more;
}

bool lc_side_loop_relay(struct lc_server *server)
{
    struct epoll_event ready[RELAY_COUNT];

    int count = epoll_wait(server->side_loop.relays, ready, RELAY_COUNT, 0);
    for (int i = 0; i < count; i++) {
        struct lc_conn *conn = ready[i].data.ptr;

        if (conn->state == LC_CONN_RELAYED) /* the other event may have been its last */
            lc_relay_go_on(conn);
    }
    return serve_restless(server, true);
}

/* Those that wait for the application; and of encrypted ones the next request may have been read from
 * the socket already. */
static bool pass_restless(struct lc_server *server)
{
    LC_LIST_EACH_SAFE (at, &server->restless) {
        struct lc_conn *conn = LC_CONTAINER(at, struct lc_conn, more);

        if (lc_share_is_ripe(conn) && lc_share_pass(conn))
            return true;
    }
    return false;
}

/* Looking at a connection puts it behind the others in the kernel's list. So each look takes one. */
static struct lc_conn *next_ready(struct lc_server *server, int *events)
{
    struct epoll_event ready;

    if (epoll_wait(server->side_loop.watch, &ready, 1, 0) != 1)
        return NULL;
    *events = (ready.events & ~(uint32_t)EPOLLOUT ? UV_READABLE : 0) |
              (ready.events & ~(uint32_t)EPOLLIN ? UV_WRITABLE : 0);
    return ready.data.ptr;
}

/* Who is in the call may have its answer sent, but its input is the call's. */
static bool serve_one(struct lc_conn *conn, int events)
{
    events &= conn->events;
    if (conn->exchange != NULL && conn->exchange->is_calling)
        events &= UV_WRITABLE;
    if (events == 0)
        return false;
    lc_conn_on_ready(conn, events);
    return true;
}

/* Who has waited longest is to go first: the kernel need not tell of it again. */
static void set_aside(struct lc_conn *conn)
{
    struct lc_side_loop *loop = &conn->server->side_loop;
    struct epoll_event nothing = {.data.ptr = conn};

    epoll_ctl(loop->watch, EPOLL_CTL_MOD, conn->wire.fd, &nothing);
    conn->is_ripe = true;
    lc_list_remove(&conn->waiting);
    lc_list_append(&loop->ripe, &conn->waiting);
}

/* False when there is nobody, or no room in the queue for the first. */
static bool pass_ripe(struct lc_server *server)
{
    struct lc_conn *conn;

    while ((conn = LC_LIST_FIRST(&server->side_loop.ripe, struct lc_conn, waiting)) !=
           NULL) {
        if (lc_share_is_ripe(conn))
            return lc_share_pass(conn);
        lc_list_remove(&conn->waiting);
        lc_side_loop_follow(
            conn); /* the loop has met it meanwhile, or its client has left */
    }
    return false;
}

static enum lc_side_outcome serve_ready(struct lc_server *server)
{
    enum lc_side_outcome outcome = LC_SIDE_STUCK;
    struct lc_conn *conn;
    int events;

    for (int i = 0; i < READY_COUNT && (conn = next_ready(server, &events)) != NULL;
         i++) {
        if (!lc_share_is_at_rest(conn)) {
            if (serve_one(conn, events))
                outcome = LC_SIDE_MOVED;
        } else if (lc_share_is_ripe(conn)) {
            set_aside(conn);
        }
    }
    return outcome;
}

static enum lc_side_outcome serve(struct lc_server *server)
{
    struct pollfd watched = {.fd = server->side_loop.watch, .events = POLLIN};

    if (poll(&watched, 1, 0) <= 0 && lc_list_is_empty(&server->restless) &&
        lc_list_is_empty(&server->side_loop.ripe))
        return LC_SIDE_NO_NEED;
    bool may_pass = !lc_share_is_pending(server) && lc_share_has_taker(server);
    if (may_pass && pass_restless(server))
        return LC_SIDE_MOVED;
    bool has_more = serve_restless(server, false);
    enum lc_side_outcome outcome = serve_ready(server);
    if (may_pass && pass_ripe(server))
        return LC_SIDE_MOVED;
    return has_more ? LC_SIDE_MOVED : outcome;
}

enum lc_side_outcome lc_side_loop_turn(struct lc_server *server)
{
    lc_reply_flush_all(server);
    watch_new_connections(server);
    enum lc_side_outcome outcome = serve(server);
    lc_reply_flush_all(server); /* who was refused */
    lc_log_flush();             /* the lines of what was sent */
    return outcome;
}

/* --- life ---------------------------------------------------------------------------------------- */

void lc_side_loop_init(struct lc_server *server)
{
    server->side_loop = (struct lc_side_loop){.watch = -1, .relays = -1};
    lc_list_init(&server->side_loop.ripe);
}

int lc_side_loop_open(struct lc_server *server)
{
    struct lc_side_loop *loop = &server->side_loop;

    loop->watch = epoll_create1(EPOLL_CLOEXEC);
    loop->relays = epoll_create1(EPOLL_CLOEXEC);
    return loop->watch < 0 || loop->relays < 0 ? -1 : 0;
}

void lc_side_loop_close(struct lc_server *server)
{
    struct lc_conn *conn;

    LC_LIST_EACH (at, &server->conns)
        LC_CONTAINER(at, struct lc_conn, all)->is_watched = false;
    while ((conn = LC_LIST_FIRST(&server->side_loop.ripe, struct lc_conn, waiting)) !=
           NULL)
        lc_list_remove(&conn->waiting);
    lc_fd_close(&server->side_loop.watch);
    lc_fd_close(&server->side_loop.relays);
}
