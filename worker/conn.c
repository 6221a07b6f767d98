#include "worker/conn.h"

#include "app/access.h"
#include "app/metrics.h"
#include "app/pipeline.h"
#include "base/clock.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/accept.h"
#include "worker/deadline.h"
#include "worker/exchange.h"
#include "worker/handshake.h"
#include "worker/hint.h"
#include "worker/intake.h"
#include "worker/ready.h"
#include "worker/relay.h"
#include "worker/relief.h"
#include "worker/reply.h"
#include "worker/side_loop.h"
#include "worker/tls_conn.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    DRAIN_QUIET_MS = 500, /* see lc_conn_drain */
};

/* --- events -------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_restless_turn(uv_idle_t *idle);

void lc_conn_wants_turn(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    if (!lc_list_is_empty(&conn->more) || conn->state == LC_CONN_CLOSED)
        return;
    lc_list_append(&server->restless, &conn->more);
    uv_idle_start(&server->restless_turn, on_restless_turn);
}

void lc_conn_mind_more(struct lc_conn *conn)
{
    if (conn->wire.tls != NULL && (conn->events & UV_READABLE) &&
        lc_wire_has_more(&conn->wire))
        lc_conn_wants_turn(conn);
}

void lc_conn_watch(struct lc_conn *conn, int events)
{
    if (events == conn->events || conn->state == LC_CONN_CLOSED)
        return;
    conn->events = events;
    if (events == 0)
        uv_poll_stop(&conn->poll);
    else
        uv_poll_start(&conn->poll, events, on_poll);
    lc_side_loop_follow(conn);
    lc_conn_mind_more(conn);
}

void lc_conn_read(struct lc_conn *conn)
{
    lc_intake_on_readable(conn);
    lc_conn_mind_more(conn);
}

static void go_on_with_request(struct lc_conn *conn);

bool lc_conn_needs_loop(const struct lc_conn *conn)
{
    return conn->state == LC_CONN_WAITING || conn->is_put_off ||
           (conn->exchange != NULL && conn->exchange->is_calling);
}

/* What was sent while a relay came to its end is pending. */
void lc_conn_take_turn(struct lc_conn *conn)
{
    if (conn->state == LC_CONN_RELAYED) {
        lc_relay_go_on(conn);
    } else if (conn->state == LC_CONN_WAITING) {
        lc_intake_go_on(conn);
    } else if (conn->is_put_off) {
        go_on_with_request(conn);
    } else if (conn->state == LC_CONN_IDLE && conn->pending_len != 0) {
        lc_intake_read_on(conn);
        lc_conn_mind_more(conn);
    } else if (conn->events & UV_READABLE) {
        lc_conn_read(conn);
    }
}

static void on_restless_turn(uv_idle_t *idle)
{
    struct lc_server *server = LC_CONTAINER(idle, struct lc_server, restless_turn);
    struct lc_conn *conn;
    unsigned count = 0;

    LC_LIST_EACH (at, &server->restless)
        count++;
    /* Who is still not done comes back behind them. */
    for (; count > 0; count--) {
        if (server->share.is_due)
            lc_share_take_turn(server);
        if ((conn = LC_LIST_FIRST(&server->restless, struct lc_conn, more)) == NULL)
            break;
        lc_list_remove(&conn->more);
        lc_conn_take_turn(conn);
    }
    if (lc_list_is_empty(&server->restless))
        uv_idle_stop(idle);
}

/* --- life ------------------------------------------------------------------------------ */

static void describe_peer(struct lc_conn *conn, const struct lc_listener *listener,
                          const struct sockaddr_storage *peer)
{
    conn->endpoints = (struct lc_endpoints){
        .socket = conn->wire.fd,
        .remote_addr = conn->remote_addr,
        .server_addr = listener->address,
        .server_port = listener->port,
        .is_unix = listener->is_unix,
    };
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

        inet_ntop(AF_INET, &in->sin_addr, conn->remote_addr, sizeof(conn->remote_addr));
        snprintf(conn->remote_port, sizeof(conn->remote_port), "%u", ntohs(in->sin_port));
        conn->endpoints.remote_port = conn->remote_port;
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)peer;

        inet_ntop(AF_INET6, &in->sin6_addr, conn->remote_addr, sizeof(conn->remote_addr));
        snprintf(conn->remote_port, sizeof(conn->remote_port), "%u",
                 ntohs(in->sin6_port));
        conn->endpoints.remote_port = conn->remote_port;
    }
}

/* What the server believes of it. */
static void judge_peer(struct lc_conn *conn, const struct sockaddr *peer)
{
    const struct lc_rules *rules = &conn->server->rules;

    conn->is_trusted = lc_networks_contain(&rules->forwarders, peer);
    conn->is_greeted = rules->proxy_versions == 0;
    conn->may_announce = !conn->is_greeted && lc_networks_contain(&rules->proxies, peer);
}

struct lc_conn *lc_conn_open(struct lc_server *server, int fd,
                             const struct lc_listener *listener,
                             const struct sockaddr_storage *peer,
                             const struct lc_tls *tls)
{
    struct lc_conn *conn = lc_new(struct lc_conn);

    conn->server = server;
    lc_wire_init(&conn->wire, fd);
    conn->wire.uses_sendfile = server->config->sendfile;
    conn->queue_end = &conn->queue;
    lc_list_init(&conn->due);
    lc_list_init(&conn->held);
    lc_list_init(&conn->more);
    lc_list_init(&conn->unwatched);
    lc_list_init(&conn->waiting);
    describe_peer(conn, listener, peer);
    judge_peer(conn, (const struct sockaddr *)peer);
    if (tls != NULL)
        conn->wire.tls = lc_tls_conn_create(tls, fd);
    if ((tls != NULL && conn->wire.tls == NULL) ||
        uv_poll_init(&server->loop, &conn->poll, fd) != 0) {
        lc_wire_close(&conn->wire);
        free(conn);
        return NULL;
    }
    lc_list_append(&server->conns, &conn->all);
    server->conn_count++;
    conn->active_ms = uv_now(&server->loop);
    lc_side_loop_meet(conn);
    conn->state = tls == NULL ? LC_CONN_IDLE : LC_CONN_HANDSHAKING;
    lc_conn_watch(conn, UV_READABLE);
    lc_conn_deadline(conn, tls == NULL ? LC_DEADLINE_HEAD : LC_DEADLINE_HANDSHAKE);
    return conn;
}

static void on_closed(uv_handle_t *handle)
{
    struct lc_conn *conn = LC_CONTAINER(handle, struct lc_conn, poll);

    free(conn->announced);
    free(conn->told);
    free(conn);
}

static void drop_exchange(struct lc_conn *conn)
{
    if (conn->exchange != NULL)
        lc_exchange_return(conn->server, conn->exchange);
    conn->exchange = NULL;
}

static void release_keep(struct lc_conn *conn)
{
    struct lc_keep *keep = &conn->keep;

    if (keep->release == NULL)
        return;
    if (conn->server->lender != NULL)
        lc_lender_release(conn->server->lender, keep->release, keep->data);
    else
        keep->release(keep->data);
}

/* Where others may have the socket open too, closing it would not end the connection. */
static void part(struct lc_conn *conn)
{
    if (!conn->is_gone && (conn->exchange == NULL || !conn->exchange->is_broken))
        lc_wire_say_goodbye(&conn->wire);
    if (conn->keep.has_duplicate || conn->wire.is_relayed)
        lc_wire_cut(&conn->wire);
}

static void close_now(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    if (!conn->is_passed)
        part(conn);
    lc_relay_end(conn);
    lc_reply_discard(conn);
    drop_exchange(conn);
    lc_intake_drop(conn);
    lc_conn_no_deadline(conn);
    lc_list_remove(&conn->more);
    lc_side_loop_forget(conn);
    lc_list_remove(&conn->all);
    if (server->is_relieved || (conn->is_passed && server->relief != NULL))
        lc_list_append(&server->share.passed, &conn->all); /* not on this thread */
    else
        release_keep(conn);
    server->conn_count--;
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    lc_wire_close(&conn->wire);
    lc_accept_resume(server);
    lc_server_stop_if_done(server);
}

/* --- states ---------------------------------------------------------------------------- */

#define BIT(state) (1u << (state))
static const unsigned may_follow[] = {
    [LC_CONN_HANDSHAKING] = BIT(LC_CONN_IDLE) | BIT(LC_CONN_LINGERING) |
                            BIT(LC_CONN_CLOSED),
    [LC_CONN_IDLE] = BIT(LC_CONN_READING) | BIT(LC_CONN_RELAYED) | BIT(LC_CONN_CLOSED) |
                     BIT(LC_CONN_LINGERING),
    [LC_CONN_READING] = BIT(LC_CONN_RECEIVING) | BIT(LC_CONN_WAITING) |
                        BIT(LC_CONN_HANDLING) | BIT(LC_CONN_REPLYING) |
                        BIT(LC_CONN_IDLE) | BIT(LC_CONN_CLOSED),
    [LC_CONN_RECEIVING] = BIT(LC_CONN_WAITING) | BIT(LC_CONN_HANDLING) |
                          BIT(LC_CONN_REPLYING) | BIT(LC_CONN_CLOSED),
    [LC_CONN_WAITING] = BIT(LC_CONN_HANDLING) | BIT(LC_CONN_REPLYING) |
                        BIT(LC_CONN_RELAYED) | BIT(LC_CONN_CLOSED),
    [LC_CONN_HANDLING] = BIT(LC_CONN_REPLYING) | BIT(LC_CONN_RELAYED) |
                         BIT(LC_CONN_CLOSED),
    [LC_CONN_RELAYED] = BIT(LC_CONN_IDLE) | BIT(LC_CONN_LINGERING) | BIT(LC_CONN_CLOSED),
    [LC_CONN_REPLYING] = BIT(LC_CONN_IDLE) | BIT(LC_CONN_LINGERING) | BIT(LC_CONN_CLOSED),
    [LC_CONN_LINGERING] = BIT(LC_CONN_CLOSED),
    [LC_CONN_CLOSED] = 0,
};

static void finish_request(struct lc_conn *conn);
static void start_request(struct lc_conn *conn);

/* What a state needs starts here. */
void lc_conn_enter(struct lc_conn *conn, enum lc_conn_state next)
{
    struct lc_server *server = conn->server;

    lc_assert(may_follow[conn->state] & BIT(next));
    conn->state = next;
    conn->is_put_off = false;
    lc_list_remove(&conn->waiting);
    if (conn->is_ripe)
        lc_side_loop_follow(conn);

    switch (next) {
    case LC_CONN_HANDSHAKING: break; /* begins with it */
    case LC_CONN_READING:
        conn->exchange = lc_exchange_lend(server, conn);
        conn->emptied_us = 0;
        conn->parked = 0;
        lc_conn_no_deadline(conn);
        break;
    case LC_CONN_RECEIVING: lc_conn_await_body(conn); break;
    case LC_CONN_WAITING: /* its client has done its part */
        conn->exchange->request.ready_us = lc_clock_us();
        lc_conn_no_deadline(conn);
        lc_conn_watch(conn, 0);
        if (server->is_relieved)
            lc_conn_wants_turn(conn);
        else
            lc_room_await(conn);
        break;
    case LC_CONN_HANDLING: /* may be answered before this returns */
        lc_conn_no_deadline(conn);
        start_request(conn);
        break;
    case LC_CONN_REPLYING: finish_request(conn); break;
    case LC_CONN_RELAYED: /* the deadlines are its taker's */
        drop_exchange(conn);
        conn->emptied_us = 0;
        lc_conn_no_deadline(conn);
        lc_side_loop_forget(conn);
        break;
    case LC_CONN_IDLE:
        drop_exchange(conn);
        conn->active_ms = uv_now(&server->loop);
        lc_conn_await_request(conn);
        break;
    case LC_CONN_LINGERING:
        drop_exchange(conn);
        lc_intake_drop(conn);
        conn->active_ms = uv_now(&server->loop);
        lc_wire_shutdown(&conn->wire);
        lc_conn_watch(conn, UV_READABLE);
        lc_conn_deadline(conn,
                         server->is_draining ? LC_DEADLINE_DRAIN : LC_DEADLINE_LINGER);
        break;
    case LC_CONN_CLOSED: close_now(conn); break;
    }
}

/* --- from request to answer -------------------------------------------------------------- */

/* Answers are held only while calls are quick: one that takes its time must not keep the
 * finished answers of others waiting. */
static void mind_the_held(struct lc_server *server)
{
    if (lc_list_is_empty(&server->held) ||
        (server->slow_memory == 0 &&
         server->now_us - server->turn_first_us <= LC_HOLD_MAX_US))
        return;
    lc_reply_flush_all(server);
    lc_server_start_call(server); /* writing is not the application's time */
}

/* The application gets its turn: with a new request, or to go on with an unfinished response. */
static void call_application(struct lc_conn *conn,
                             void (*call)(struct lc_pipeline *, struct lc_request *))
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_request *request = &exchange->request;
    struct lc_server *server = conn->server;
    struct lc_slot *slot = server->inherit->slot;

    mind_the_held(server);
    if (server->has_unfinished)
        lc_relief_start(server);
    request->host = server->host; /* it may have come before the relief thread did */
    if (request->called_us == 0)
        request->called_us = server->now_us;
    /* Many calls, each of them short enough, may follow each other in one turn of the loop. */
    atomic_store_explicit(&slot->heartbeat_ms, uv_now(&server->loop),
                          memory_order_relaxed);
    lc_slot_take_in_hand(slot, 0, uv_now(&server->loop), request->method, request->target,
                         request->endpoints->remote_addr);
    atomic_store_explicit(&slot->busy_since_us, server->now_us, memory_order_relaxed);
    exchange->is_calling = true;
    if (server->relief != NULL)
        lc_relief_lend(server, call, request);
    else
        call(server->pipeline, request);
    exchange->is_calling = false;
    atomic_store_explicit(&slot->busy_since_us, 0, memory_order_relaxed);
    lc_slot_put_down(slot, 0);
    lc_server_time_call(server);
    if (request->response.is_ended)
        lc_conn_enter(conn, LC_CONN_REPLYING);
}

/* The body is where the application can read it. */
static bool has_body_at_hand(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_error err;

    if (exchange->pull.buffer != NULL ||
        lc_gather_finish(&exchange->body, &exchange->request.body, &err) == 0)
        return true;
    lc_log(LC_ERROR, "%s", err.text);
    return false;
}

static void start_request(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    bool is_to_be_lent = lc_lender_is_open(conn->server->lender);

    if ((is_to_be_lent && !lc_lend_prepare(conn)) || !has_body_at_hand(conn)) {
        lc_intake_fail(conn);
        return;
    }
    exchange->is_counted = true;
    if (exchange->request.ready_us == 0)
        exchange->request.ready_us = lc_ready_since(conn);
    conn->server->in_flight++;
    if (!conn->has_asked) {
        conn->has_asked = true;
        lc_hint_at_keepalive(conn);
    }
    if (is_to_be_lent) {
        lc_room_look(conn->server);
        lc_lend(conn);
    } else {
        call_application(conn, lc_pipeline_start);
    }
}

static void resume_request(struct lc_conn *conn)
{
    if (conn->server->is_relieved) {
        conn->is_put_off = true;
        lc_conn_wants_turn(conn);
        return;
    }
    if (lc_lender_is_open(conn->server->lender)) {
        lc_lend(conn);
        return;
    }
    lc_server_start_call(conn->server);
    call_application(conn, lc_pipeline_resume);
}

void lc_conn_on_returned(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;

    if (exchange->lent.has_failed)
        conn->is_gone = true;
    if (conn->is_gone)
        lc_reply_discard(conn);
    if (exchange->lent.is_skipped) {
        conn->server->in_flight--;
        lc_conn_enter(conn, LC_CONN_CLOSED);
    } else if (exchange->request.response.is_ended) {
        exchange->ended_us = conn->queue == NULL ? exchange->lent.ended_us : 0;
        lc_conn_enter(conn, LC_CONN_REPLYING);
        lc_intake_read_on(conn);
    } else if (conn->queue == NULL) { /* caught up already, or gone */
        resume_request(conn);
    }
}

void lc_conn_on_ended(struct lc_conn *conn)
{
    lc_conn_enter(conn, LC_CONN_REPLYING);
    /* What came meanwhile is for the next turn: another request's handler is on the stack. */
    if (conn->state == LC_CONN_IDLE)
        lc_conn_watch(conn, UV_WRITABLE);
}

/* All has left that will leave: the log line, and what becomes of the connection. */
static void complete_request(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_server *server = conn->server;
    uint64_t ended_us = exchange->ended_us != 0 ? exchange->ended_us : lc_clock_us();

    if (exchange->is_counted) {
        server->in_flight--;
        lc_server_count_request(server);
        lc_count_wait(&server->inherit->slot->counts,
                      lc_request_waited_us(&exchange->request));
    }
    lc_count_answer(&server->inherit->slot->counts, exchange->request.response.status,
                    exchange->request.response.written,
                    ended_us - exchange->request.started_us);
    if (server->access_log != NULL && exchange->http1.policy.has_line)
        lc_access_log_write(server->access_log, &exchange->request, ended_us);
    if (server->config->statsd_host != NULL)
        lc_metrics_request(&exchange->request, ended_us);

    if (conn->is_gone || exchange->is_broken)
        lc_conn_enter(conn, LC_CONN_CLOSED);
    else if (!conn->closes)
        lc_conn_enter(conn, LC_CONN_IDLE);
    else if (conn->lingers && !conn->has_eof)
        lc_conn_enter(conn, LC_CONN_LINGERING);
    else
        lc_conn_enter(conn, LC_CONN_CLOSED);
}

static void finish_request(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    const struct lc_request *request = &exchange->request;

    if (exchange->pull.buffer != NULL)
        lc_intake_take_back(conn);
    if (exchange->is_broken || !request->response.keeps)
        conn->closes = true;
    /* A client that did not ask for the end may have sent more already: a plain close would
     * reset the connection and could take the answer with it. */
    if (!request->wants_close || request->has_endless_body || conn->pending_len != 0)
        conn->lingers = true;
    if (conn->closes)
        lc_reply_flush(conn);
    if (conn->queue == NULL || conn->is_gone)
        complete_request(conn);
}

static void go_on_with_request(struct lc_conn *conn)
{
    conn->is_put_off = false;
    if (conn->queue == NULL)
        resume_request(conn);
    if (conn->queue == NULL)
        lc_intake_read_on(conn);
}

static void on_writable(struct lc_conn *conn)
{
    if (conn->state == LC_CONN_RELAYED) {
        lc_relay_go_on(conn);
        return;
    }
    lc_reply_on_writable(conn);
    if (conn->is_lent)
        lc_lent_on_moved(conn);
    if (conn->queue != NULL || conn->is_gone)
        return;
    if (conn->state == LC_CONN_REPLYING)
        complete_request(conn);
    else if (conn->state == LC_CONN_HANDLING && !conn->is_lent)
        resume_request(conn);
    if (conn->queue == NULL)
        lc_intake_read_on(conn);
}

void lc_conn_on_ready(struct lc_conn *conn, int events)
{
    if (conn->server->share.is_due && !conn->server->is_relieved)
        lc_share_take_turn(conn->server);
    if (conn->state == LC_CONN_HANDSHAKING) {
        lc_handshake_go_on(conn);
        return;
    }
    if (conn->state == LC_CONN_RELAYED) {
        lc_relay_go_on(conn);
        return;
    }
    if (events & UV_WRITABLE)
        on_writable(conn);
    if ((events & UV_READABLE) && (conn->events & UV_READABLE) &&
        conn->state != LC_CONN_CLOSED)
        lc_conn_read(conn);
    if (conn->is_gone && conn->state != LC_CONN_CLOSED)
        lc_conn_abandon(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct lc_conn *conn = LC_CONTAINER(poll, struct lc_conn, poll);

    if (status < 0)
        lc_conn_abandon(conn);
    else
        lc_conn_on_ready(conn, events);
}

void lc_conn_begin(struct lc_conn *conn)
{
    lc_conn_on_ready(conn, UV_READABLE);
}

/* --- ends ---------------------------------------------------------------------------------- */

void lc_conn_abandon(struct lc_conn *conn)
{
    conn->is_gone = true;
    lc_reply_discard(conn);
    switch (conn->state) {
    case LC_CONN_HANDLING: /* the application has to let go first */
        if (conn->is_lent)
            lc_lent_abandon(conn);
        else
            resume_request(conn);
        if (conn->state == LC_CONN_HANDLING)
            lc_conn_watch(conn, 0);
        break;
    case LC_CONN_REPLYING: complete_request(conn); break;
    case LC_CONN_CLOSED: break;
    case LC_CONN_HANDSHAKING:
    case LC_CONN_IDLE:
    case LC_CONN_READING:
    case LC_CONN_RECEIVING:
    case LC_CONN_WAITING:
    case LC_CONN_RELAYED:
    case LC_CONN_LINGERING: lc_conn_enter(conn, LC_CONN_CLOSED); break;
    }
}

/* It is slow. Whether that is still in time; then there will be another look. */
static bool keeps_pace(struct lc_conn *conn)
{
    if (lc_conn_is_late(conn))
        return false;
    lc_conn_deadline(conn, LC_DEADLINE_LOOK);
    return true;
}

/* What came while a slow call kept the loop was in time. True if the connection is none the worse
 * for its deadline; a head that is still not complete is late. */
static bool came_in_time(struct lc_conn *conn)
{
    uint64_t due_ms = conn->due_ms;

    if (conn->state == LC_CONN_LINGERING || !lc_wire_is_readable(&conn->wire))
        return false;
    lc_conn_read(conn);
    return lc_list_is_empty(&conn->due) || conn->due_ms != due_ms;
}

/* To one who stays, so that its client never notices that this worker leaves. But a request that
 * has come is answered here, unless somebody else could do so at once. */
static bool pass_on(struct lc_conn *conn)
{
    if (!lc_share_is_at_rest(conn) || lc_relay_is_needed(conn) ||
        !lc_share_has_heir(conn->server) ||
        (lc_share_is_ripe(conn) && !lc_share_has_taker(conn->server)))
        return false;
    if (lc_share_pass(conn))
        lc_share_release_keeps(conn->server); /* this is the loop's thread */
    else
        lc_conn_deadline(conn, LC_DEADLINE_DRAIN); /* there is no room: later */
    return true;
}

void lc_conn_expire(struct lc_conn *conn, enum lc_deadline kind)
{
    switch (kind) {
    case LC_DEADLINE_HANDSHAKE: lc_handshake_late(conn); break;
    case LC_DEADLINE_DRAIN:
    case LC_DEADLINE_STAY:
        if (pass_on(conn))
            break;
        if (conn->state == LC_CONN_HANDSHAKING) {
            lc_handshake_late(conn);
            break;
        }
        /* fall through */
    case LC_DEADLINE_HEAD:
    case LC_DEADLINE_BODY:
    case LC_DEADLINE_IDLE:
    case LC_DEADLINE_LAST:
        if (came_in_time(conn) || (kind == LC_DEADLINE_BODY && keeps_pace(conn)))
            break;
        lc_conn_no_deadline(conn);
        if (conn->state == LC_CONN_IDLE || conn->state == LC_CONN_LINGERING)
            lc_conn_enter(conn, LC_CONN_CLOSED);
        else
            lc_intake_late(conn);
        break;
    case LC_DEADLINE_WRITE:
        lc_conn_no_deadline(conn);
        on_writable(conn); /* the same */
        if (conn->is_gone)
            lc_conn_abandon(conn);
        else if (conn->queue != NULL && lc_list_is_empty(&conn->due))
            lc_conn_deadline(conn, LC_DEADLINE_LOOK);
        break;
    case LC_DEADLINE_LOOK:
        lc_conn_expire(conn, conn->queue != NULL ? LC_DEADLINE_WRITE : LC_DEADLINE_BODY);
        break;
    case LC_DEADLINE_LINGER: lc_conn_enter(conn, LC_CONN_CLOSED); break;
    case LC_DEADLINE_COUNT: break;
    }
}

/* A client may send its next request at any time: closing in its face would lose that request.
 * So a connection that waits for one goes to a sibling. One that cannot stays for a while, and if
 * a request does come, is told to close with the answer. When the whole server stops, that is only
 * a moment, and those that have been quiet go at once. */
void lc_conn_drain(struct lc_conn *conn)
{
    uint64_t now = uv_now(&conn->server->loop);

    if (conn->state == LC_CONN_LINGERING)
        lc_conn_deadline(conn, LC_DEADLINE_DRAIN);
    else if (conn->state == LC_CONN_READING && conn->queue == NULL)
        lc_conn_await_head(conn);
    else if (conn->state == LC_CONN_IDLE)
        lc_reply_flush(conn);
    if (pass_on(conn))
        return;
    if (conn->state == LC_CONN_HANDSHAKING)
        lc_handshake_drain(conn);
    if (conn->state != LC_CONN_IDLE || conn->queue != NULL)
        return; /* it goes when its last answer has left */
    if (lc_wire_is_readable(&conn->wire))
        lc_conn_read(conn);
    else if (lc_share_goes_on(conn->server) || now - conn->active_ms < DRAIN_QUIET_MS)
        lc_conn_await_last(conn);
    else
        lc_conn_enter(conn, LC_CONN_CLOSED);
}
