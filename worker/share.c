#include "worker/share.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/passing.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/accept.h"
#include "worker/conn.h"
#include "worker/deadline.h"
#include "worker/greeting.h"
#include "worker/intake.h"
#include "worker/note.h"
#include "worker/relay.h"
#include "worker/room.h"
#include "worker/tls_conn.h"
#include "worker/tls_info.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LEAD = 2 }; /* connections more than a sibling that are no imbalance yet */

/* A listener of another generation, met with a connection that came from there. */
struct stranger {
    struct lc_list link;
    struct lc_listener listener;
};

/* --- siblings ------------------------------------------------------------------------------ */

static bool serves(const struct lc_slot *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_relaxed) == LC_SLOT_SERVING;
}

static bool has_room(const struct lc_slot *slot, int64_t most, uint64_t now_us)
{
    uint64_t since = atomic_load_explicit(&slot->busy_since_us, memory_order_relaxed);

    /* One that is in a call will soon be free, unless that call is a long one. */
    if (atomic_load_explicit(&slot->threads, memory_order_relaxed) != 0 &&
        atomic_load_explicit(&slot->free_threads, memory_order_relaxed) == 0)
        return false;
    return (since == 0 || now_us < since + LC_LONG_CALL_US) &&
           atomic_load_explicit(&slot->connections, memory_order_relaxed) < most;
}

bool lc_share_has_siblings(const struct lc_server *server)
{
    const struct lc_scoreboard *board = server->inherit->scoreboard;
    uint32_t used = atomic_load_explicit(&board->used, memory_order_relaxed);

    for (uint32_t i = 0; i < used; i++)
        if (&board->slots[i] != server->inherit->slot && serves(&board->slots[i]))
            return true;
    return false;
}

/* Whether one could begin a request now, and has less than so many connections. */
static bool any_has_room(const struct lc_server *server, int64_t most)
{
    const struct lc_scoreboard *board = server->inherit->scoreboard;
    uint32_t used = atomic_load_explicit(&board->used, memory_order_relaxed);
    uint64_t now_us = lc_clock_us();

    for (uint32_t i = 0; i < used; i++)
        if (&board->slots[i] != server->inherit->slot && serves(&board->slots[i]) &&
            has_room(&board->slots[i], most, now_us))
            return true;
    return false;
}

bool lc_share_has_taker(const struct lc_server *server)
{
    return any_has_room(server, server->config->worker_connections);
}

bool lc_share_has_heir(const struct lc_server *server)
{
    const struct lc_scoreboard *board = server->inherit->scoreboard;
    uint32_t used = atomic_load_explicit(&board->used, memory_order_relaxed);

    for (uint32_t i = 0; i < used; i++)
        if (&board->slots[i] != server->inherit->slot && serves(&board->slots[i]) &&
            atomic_load_explicit(&board->slots[i].connections, memory_order_relaxed) <
                server->config->worker_connections)
            return true;
    return false;
}

bool lc_share_goes_on(const struct lc_server *server)
{
    return lc_share_has_siblings(server) ||
           atomic_load_explicit(&server->inherit->scoreboard->has_peer,
                                memory_order_relaxed);
}

bool lc_share_is_ahead(const struct lc_server *server)
{
    unsigned mine = server->conn_count;

    return mine > LEAD && any_has_room(server, (int64_t)(mine - mine / 8 - LEAD));
}

/* --- passing ---------------------------------------------------------------------------------- */

bool lc_share_is_pending(const struct lc_server *server)
{
    return !lc_passing_is_empty(server->inherit->passing[LC_PASSING_TAKE]);
}

bool lc_share_is_at_rest(const struct lc_conn *conn)
{
    bool is_new = conn->state == LC_CONN_HANDSHAKING &&
                  !lc_tls_conn_has_begun(conn->wire.tls);
    bool is_idle = conn->state == LC_CONN_IDLE && lc_share_is_portable(conn);

    return (is_new || is_idle) && !conn->has_eof && !conn->is_gone;
}

static bool socket_is_readable(const struct lc_conn *conn)
{
    char byte;

    return recv(conn->wire.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Looking for decrypted bytes may empty the socket, of which epoll then has nothing to tell. */
static bool has_decrypted(struct lc_conn *conn)
{
    bool has_bytes = conn->pending_len != 0 || lc_wire_is_readable(&conn->wire);

    lc_conn_mind_more(conn);
    return has_bytes;
}

bool lc_share_is_ripe(struct lc_conn *conn)
{
    if (conn->state == LC_CONN_WAITING)
        return lc_share_is_portable(conn);
    if (!lc_share_is_at_rest(conn) || (conn->events & UV_WRITABLE))
        return false;
    if (lc_relay_is_needed(conn))
        return has_decrypted(conn);
    return conn->pending_len == 0 && socket_is_readable(conn);
}

bool lc_share_is_portable(const struct lc_conn *conn)
{
    return (conn->wire.tls != NULL || !conn->keep.has_duplicate) && conn->held_len == 0 &&
           conn->queue == NULL && !conn->is_gone && lc_note_is_possible(conn);
}

static bool pass_by_relay(struct lc_conn *conn)
{
    LC_AUTOCLOSE int far_end = lc_relay_open(conn);

    if (lc_note_send(conn, far_end)) {
        lc_relay_begin(conn);
        return true;
    }
    lc_relay_end(conn);
    return false;
}

static bool pass_itself(struct lc_conn *conn)
{
    if (!lc_note_send(conn, conn->wire.fd))
        return false;
    conn->is_passed = true;
    lc_conn_enter(conn, LC_CONN_CLOSED);
    return true;
}

bool lc_share_pass(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;
    bool is_counted = conn->exchange != NULL && conn->exchange->is_counted;

    if (!(lc_relay_is_needed(conn) ? pass_by_relay(conn) : pass_itself(conn)))
        return false;
    if (is_counted)
        server->in_flight--;
    return true;
}

void lc_share_release_keeps(struct lc_server *server)
{
    struct lc_conn *conn;

    while ((conn = LC_LIST_FIRST(&server->share.passed, struct lc_conn, all)) != NULL) {
        lc_list_remove(&conn->all);
        if (conn->keep.release != NULL)
            conn->keep.release(conn->keep.data);
    }
}

/* --- taking ------------------------------------------------------------------------------------- */

static bool is_that(const struct lc_listener *listener, const struct lc_note *note)
{
    return listener->is_unix == (note->is_unix != 0) &&
           strcmp(listener->address, note->server_addr) == 0 &&
           strcmp(listener->port == NULL ? "" : listener->port, note->server_port) == 0;
}

/* The passed connection outlives the message that names its listener. */
static const struct lc_listener *listener_of(struct lc_server *server,
                                             const struct lc_note *note)
{
    const struct lc_inherit *inherit = server->inherit;

    for (unsigned i = 0; i < inherit->listener_count; i++)
        if (is_that(&inherit->listeners[i], note))
            return &inherit->listeners[i];
    LC_LIST_EACH (at, &server->share.strangers) {
        struct stranger *stranger = LC_CONTAINER(at, struct stranger, link);

        if (is_that(&stranger->listener, note))
            return &stranger->listener;
    }
    struct stranger *stranger = lc_new(struct stranger);
    stranger->listener = (struct lc_listener){
        .fd = -1,
        .is_unix = note->is_unix != 0,
        .address = lc_strdup(note->server_addr),
        .port = note->server_port[0] == '\0' ? NULL : lc_strdup(note->server_port),
    };
    lc_list_append(&server->share.strangers, &stranger->link);
    return &stranger->listener;
}

static void read_peer(const struct lc_note *note, struct sockaddr_storage *peer)
{
    struct sockaddr_in *in = (struct sockaddr_in *)peer;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)peer;
    in_port_t port = htons((uint16_t)strtoul(note->remote_port, NULL, 10));

    memset(peer, 0, sizeof(*peer));
    if (note->is_unix) {
        peer->ss_family = AF_UNIX;
    } else if (inet_pton(AF_INET, note->remote_addr, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = port;
    } else if (inet_pton(AF_INET6, note->remote_addr, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
    }
}

static void recall(struct lc_conn *conn, const struct lc_note *note)
{
    conn->has_asked = note->has_asked != 0;
    conn->is_last = note->is_last != 0;
    conn->has_waited = true;
    conn->is_greeted |= note->is_greeted != 0;
    if (note->is_announced)
        lc_greeting_announce(conn, &note->announced);
}

/* A new connection has the time of a head. One that was passed while it was idle has that of any
 * idle one. */
static void await_next(struct lc_conn *conn)
{
    const struct lc_server *server = conn->server;

    if (server->is_draining || (conn->has_asked && server->config->keepalive > 0))
        lc_conn_await_request(conn);
}

/* False when what was agreed on is missing. */
static bool learn_agreed(struct lc_conn *conn, struct lc_slice *bytes)
{
    conn->wire.is_relayed = true;
    conn->endpoints.tls = conn->told = lc_tls_info_unpack(bytes);
    return conn->told != NULL;
}

/* What a connection begins with, when some of it was read already. */
static void begin(struct lc_conn *conn, struct lc_parting *parting, struct lc_slice read)
{
    const struct lc_note *note = &parting->note;

    if (note->is_received)
        lc_intake_adopt(conn, read, parting->body, lc_fd_take(&parting->passed.file),
                        note->body_len);
    else if (read.len != 0)
        lc_intake_feed(conn, read);
    else
        lc_conn_begin(conn);
    if (conn->state == LC_CONN_IDLE)
        await_next(conn);
}

static void serve(struct lc_server *server, struct lc_parting *parting)
{
    const struct lc_note *note = &parting->note;
    struct lc_slice read = parting->read;
    struct sockaddr_storage peer;

    if (note->is_encrypted && server->tls == NULL)
        return; /* a reload has just ended encryption */
    read_peer(note, &peer);
    struct lc_conn *conn = lc_conn_open(server, lc_fd_take(&parting->passed.conn),
                                        listener_of(server, note), &peer,
                                        note->is_encrypted ? server->tls : NULL);
    if (conn == NULL)
        return;
    recall(conn, note);
    if (note->is_relayed && !learn_agreed(conn, &read))
        lc_conn_enter(conn, LC_CONN_CLOSED);
    else
        begin(conn, parting, read);
}

bool lc_share_take(struct lc_server *server)
{
    struct lc_parting parting;

    switch (lc_note_receive(server->inherit->passing[LC_PASSING_TAKE], &parting)) {
    case LC_NOTE_NONE: lc_accept_failed(server); return false;
    case LC_NOTE_BAD: return true;
    case LC_NOTE_COME: break;
    }
    serve(server, &parting);
    lc_note_end(&parting);
    return true;
}

static void take_if_room(struct lc_server *server)
{
    if (lc_accept_is_full(server))
        lc_accept_pause(server);
    else if (!lc_room_declines_passed(server))
        lc_share_take(server);
}

void lc_share_take_turn(struct lc_server *server)
{
    server->share.is_due = false;
    if (server->share.is_taking && lc_share_is_pending(server))
        take_if_room(server);
}

static void on_passed(uv_poll_t *poll, int status, int events)
{
    take_if_room(LC_CONTAINER(poll, struct lc_server, share.poll));
}

bool lc_share_inherit(struct lc_server *server)
{
    return !lc_share_has_heir(server) && lc_share_take(server);
}

/* --- life --------------------------------------------------------------------------------------- */

void lc_share_init(struct lc_server *server)
{
    lc_list_init(&server->share.strangers);
    lc_list_init(&server->share.passed);
}

int lc_share_start(struct lc_server *server, struct lc_error *err)
{
    int failed = uv_poll_init(&server->loop, &server->share.poll,
                              server->inherit->passing[LC_PASSING_TAKE]);

    if (failed != 0)
        return lc_error_set(err, LC_E_BOOT, "the queue of passed connections: %s",
                            uv_strerror(failed));
    return 0;
}

void lc_share_resume(struct lc_server *server)
{
    if (!server->share.is_taking)
        uv_poll_start(&server->share.poll, UV_READABLE, on_passed);
    server->share.is_taking = true;
}

void lc_share_pause(struct lc_server *server)
{
    uv_poll_stop(&server->share.poll);
    server->share.is_taking = false;
}

void lc_share_deinit(struct lc_server *server)
{
    LC_LIST_EACH_SAFE (at, &server->share.strangers) {
        struct stranger *stranger = LC_CONTAINER(at, struct stranger, link);

        free(stranger->listener.address);
        free(stranger->listener.port);
        free(stranger);
    }
}
