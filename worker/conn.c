#include "worker/conn.h"

#include "app/access.h"
#include "app/error_page.h"
#include "app/pipeline.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/accept.h"
#include "worker/exchange.h"
#include "worker/reply.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PENDING_MAX = 64 * 1024, /* bytes read ahead while the application has the request */
    DRAIN_QUIET_MS = 250,    /* see lc_conn_drain */
};

static void conn_enter(struct lc_conn *conn, enum lc_conn_state next);
static void take_input(struct lc_conn *conn, struct lc_slice input);

/* --- deadlines and events -------------------------------------------------------------- */

void lc_conn_no_deadline(struct lc_conn *conn)
{
    lc_list_remove(&conn->due);
}

void lc_conn_deadline(struct lc_conn *conn, enum lc_deadline kind)
{
    uint64_t patience = lc_server_patience(conn->server, kind);

    lc_list_remove(&conn->due);
    if (patience == 0)
        return;
    conn->due_ms = uv_now(&conn->server->loop) + patience;
    lc_list_append(&conn->server->deadlines[kind], &conn->due);
}

static void on_poll(uv_poll_t *poll, int status, int events);

void lc_conn_watch(struct lc_conn *conn, int events)
{
    if (events == conn->events || conn->state == LC_CONN_CLOSED)
        return;
    conn->events = events;
    if (events == 0)
        uv_poll_stop(&conn->poll);
    else
        uv_poll_start(&conn->poll, events, on_poll);
}

/* --- life ------------------------------------------------------------------------------ */

static void describe_peer(struct lc_conn *conn, const struct lc_listener *listener,
                          const struct sockaddr_storage *peer)
{
    conn->endpoints = (struct lc_endpoints){
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
    /* The default of forwarded_allow_ips: proxies on this machine. */
    conn->is_trusted = listener->is_unix || strcmp(conn->remote_addr, "127.0.0.1") == 0 ||
                       strcmp(conn->remote_addr, "::1") == 0;
}

void lc_conn_open(struct lc_server *server, int fd, const struct lc_listener *listener,
                  const struct sockaddr_storage *peer)
{
    struct lc_conn *conn = lc_new(struct lc_conn);

    conn->server = server;
    conn->fd = fd;
    conn->queue_end = &conn->queue;
    lc_list_init(&conn->due);
    lc_list_init(&conn->held);
    describe_peer(conn, listener, peer);
    if (uv_poll_init(&server->loop, &conn->poll, fd) != 0) {
        close(fd);
        free(conn);
        return;
    }
    lc_list_append(&server->conns, &conn->all);
    server->conn_count++;
    conn->active_ms = uv_now(&server->loop);
    lc_conn_watch(conn, UV_READABLE);
    lc_conn_deadline(conn, LC_DEADLINE_HEAD);
}

static void on_closed(uv_handle_t *handle)
{
    free(LC_CONTAINER(handle, struct lc_conn, poll));
}

static void drop_exchange(struct lc_conn *conn)
{
    if (conn->exchange != NULL)
        lc_exchange_return(conn->server, conn->exchange);
    conn->exchange = NULL;
}

static void drop_pending(struct lc_conn *conn)
{
    free(conn->pending);
    conn->pending = NULL;
    conn->pending_len = conn->pending_room = 0;
}

static void close_now(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    lc_reply_discard(conn);
    drop_exchange(conn);
    drop_pending(conn);
    if (conn->keep.release != NULL)
        conn->keep.release(conn->keep.data);
    lc_conn_no_deadline(conn);
    lc_list_remove(&conn->all);
    server->conn_count--;
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd);
    lc_accept_resume(server);
    lc_server_stop_if_done(server);
}

/* --- states ---------------------------------------------------------------------------- */

#define BIT(state) (1u << (state))
static const unsigned may_follow[] = {
    [LC_CONN_IDLE] = BIT(LC_CONN_READING) | BIT(LC_CONN_CLOSED) | BIT(LC_CONN_LINGERING),
    [LC_CONN_READING] = BIT(LC_CONN_RECEIVING) | BIT(LC_CONN_HANDLING) |
                        BIT(LC_CONN_REPLYING) | BIT(LC_CONN_CLOSED),
    [LC_CONN_RECEIVING] = BIT(LC_CONN_HANDLING) | BIT(LC_CONN_REPLYING) |
                          BIT(LC_CONN_CLOSED),
    [LC_CONN_HANDLING] = BIT(LC_CONN_REPLYING) | BIT(LC_CONN_CLOSED),
    [LC_CONN_REPLYING] = BIT(LC_CONN_IDLE) | BIT(LC_CONN_LINGERING) | BIT(LC_CONN_CLOSED),
    [LC_CONN_LINGERING] = BIT(LC_CONN_CLOSED),
    [LC_CONN_CLOSED] = 0,
};

static void finish_request(struct lc_conn *conn);
static void start_request(struct lc_conn *conn);

static void wait_for_request(struct lc_conn *conn)
{
    lc_conn_deadline(conn,
                     conn->server->is_draining ? LC_DEADLINE_DRAIN : LC_DEADLINE_IDLE);
}

/* What a state needs starts here. */
static void conn_enter(struct lc_conn *conn, enum lc_conn_state next)
{
    struct lc_server *server = conn->server;

    lc_assert(may_follow[conn->state] & BIT(next));
    conn->state = next;

    switch (next) {
    case LC_CONN_READING:
        conn->exchange = lc_exchange_lend(server, conn);
        lc_conn_no_deadline(conn);
        break;
    case LC_CONN_RECEIVING: lc_conn_deadline(conn, LC_DEADLINE_BODY); break;
    case LC_CONN_HANDLING: /* may be answered before this returns */
        lc_conn_no_deadline(conn);
        start_request(conn);
        break;
    case LC_CONN_REPLYING: finish_request(conn); break;
    case LC_CONN_IDLE:
        drop_exchange(conn);
        conn->active_ms = uv_now(&server->loop);
        wait_for_request(conn);
        break;
    case LC_CONN_LINGERING:
        drop_exchange(conn);
        drop_pending(conn);
        shutdown(conn->fd, SHUT_WR);
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
    lc_slot_take_in_hand(slot, uv_now(&server->loop), request->method.at,
                         (uint32_t)request->method.len, request->target.at,
                         (uint32_t)request->target.len, conn->remote_addr);
    exchange->is_calling = true;
    call(server->pipeline, request);
    exchange->is_calling = false;
    lc_slot_put_down(slot);
    lc_server_time_call(server);
    if (request->response.is_ended)
        conn_enter(conn, LC_CONN_REPLYING);
}

static void start_request(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;

    lc_gather_finish(&exchange->body, &exchange->request.body);
    exchange->is_counted = true;
    conn->server->in_flight++;
    call_application(conn, lc_pipeline_start);
}

static void resume_request(struct lc_conn *conn)
{
    lc_server_start_call(conn->server);
    call_application(conn, lc_pipeline_resume);
}

void lc_conn_on_ended(struct lc_conn *conn)
{
    conn_enter(conn, LC_CONN_REPLYING);
    /* What came meanwhile is for the next turn: another request's handler is on the stack. */
    if (conn->state == LC_CONN_IDLE)
        lc_conn_watch(conn, UV_WRITABLE);
}

/* All has left that will leave: the log line, and what becomes of the connection. */
static void complete_request(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_server *server = conn->server;

    if (exchange->is_counted) {
        server->in_flight--;
        lc_server_count_request(server);
    }
    if (server->access_log != NULL && exchange->http1.policy.has_line)
        lc_access_log_write(server->access_log, &exchange->request, lc_clock_us());

    if (conn->is_gone || exchange->is_broken)
        conn_enter(conn, LC_CONN_CLOSED);
    else if (!conn->closes)
        conn_enter(conn, LC_CONN_IDLE);
    else if (conn->lingers && !conn->has_eof)
        conn_enter(conn, LC_CONN_LINGERING);
    else
        conn_enter(conn, LC_CONN_CLOSED);
}

static void finish_request(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    const struct lc_request *request = &exchange->request;

    if (exchange->is_broken || !request->response.keeps)
        conn->closes = true;
    /* A client that did not ask for the end may have sent more already: a plain close would
     * reset the connection and could take the answer with it. */
    if (!request->wants_close || conn->pending_len != 0)
        conn->lingers = true;
    if (conn->closes)
        lc_reply_flush(conn);
    if (conn->queue == NULL || conn->is_gone)
        complete_request(conn);
}

/* The request cannot be read on: says why, and closes. */
static void refuse(struct lc_conn *conn, int status, const char *reason, const char *text)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_request *request = &exchange->request;
    struct lc_slice answer = lc_error_answer(&request->arena, status, reason,
                                             lc_slice(text));

    request->response = (struct lc_response){.status = status, .is_ended = true};
    request->response.written =
        lc_error_page(&request->arena, reason, lc_slice(text)).len;
    request->wants_close = false;                  /* more may be coming: linger */
    lc_request_relocate(request, &exchange->head); /* the log line may have to wait */
    lc_reply_raw(conn, answer);
    conn_enter(conn, LC_CONN_REPLYING);
}

static void refuse_fault(struct lc_conn *conn)
{
    const struct lc_fault *fault = &conn->exchange->fault;
    char page_text[sizeof(fault->text) + 64];

    lc_fault_page_text(page_text, sizeof(page_text), fault);
    if (fault->status != 500) /* else it is not the client's */
        lc_log(LC_WARN, "Invalid request from ip=%s: %s", conn->remote_addr, fault->text);
    refuse(conn, fault->status, fault->reason, page_text);
}

/* --- reading ----------------------------------------------------------------------------- */

static void grow_pending(struct lc_conn *conn, size_t room)
{
    if (conn->pending_room >= room)
        return;
    size_t bigger = conn->pending_room == 0 ? 1024 : conn->pending_room;

    while (bigger < room)
        bigger *= 2;
    conn->pending = lc_realloc(conn->pending, bigger);
    conn->pending_room = bigger;
}

/* What was read and could not be used yet waits for more. */
static void keep_rest(struct lc_conn *conn, struct lc_slice rest)
{
    if (rest.len == 0) {
        drop_pending(conn);
        return;
    }
    if (conn->pending != NULL && rest.at >= conn->pending &&
        rest.at < conn->pending + conn->pending_room) {
        memmove(conn->pending, rest.at, rest.len);
    } else {
        grow_pending(conn, rest.len);
        memcpy(conn->pending, rest.at, rest.len);
    }
    conn->pending_len = rest.len;
}

/* A controller that answers later may go on using every slice that it was given: the request
 * keeps the buffer, and the next bytes get another one. */
static void keep_buffer(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;

    if (exchange->request.is_detached && exchange->body.in_place.len == 0)
        return;
    if (conn->pending_len != 0) {
        exchange->kept = conn->pending;
        conn->pending = NULL;
        conn->pending_len = conn->pending_room = 0;
    } else {
        exchange->kept = conn->server->read_buffer;
        conn->server->read_buffer = lc_malloc(LC_READ_SIZE);
    }
    exchange->request.is_detached = true;
    exchange->body.in_place.len = 0;
}

/* The buffer that the request's slices point into is about to be used again. */
static bool detach(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_error err;

    if (conn->state == LC_CONN_HANDLING) {
        keep_buffer(conn);
        return true;
    }
    lc_request_relocate(&exchange->request, &exchange->head);
    if (conn->state == LC_CONN_REPLYING || lc_gather_settle(&exchange->body, &err) == 0)
        return true;
    lc_log(LC_ERROR, "%s", err.text);
    return false;
}

static void send_continue(struct lc_conn *conn)
{
    lc_reply_raw(conn, LC_SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    lc_reply_flush(conn);
}

/* A step through the input. Tells whether it got further, with the input shortened. */
static bool take_head(struct lc_conn *conn, struct lc_slice *input)
{
    struct lc_exchange *exchange = conn->exchange;
    size_t used;

    enum lc_http1_result result = lc_http1_head(&exchange->http1, *input, &used);
    exchange->head = (struct lc_slice){input->at,
                                       result == LC_HTTP1_FAIL ? input->len : used};
    input->at += used;
    input->len -= used;
    switch (result) {
    case LC_HTTP1_MORE: return false;
    case LC_HTTP1_DONE: conn_enter(conn, LC_CONN_HANDLING); return true;
    case LC_HTTP1_HEAD:
        conn_enter(conn, LC_CONN_RECEIVING);
        if (exchange->request.expects_100 && input->len == 0)
            send_continue(conn);
        return true;
    case LC_HTTP1_FAIL: refuse_fault(conn); return false;
    }
    return false;
}

static bool take_body(struct lc_conn *conn, struct lc_slice *input)
{
    struct lc_exchange *exchange = conn->exchange;
    size_t used;

    enum lc_http1_result result = lc_http1_body(&exchange->http1, *input, &used);
    input->at += used;
    input->len -= used;
    switch (result) {
    case LC_HTTP1_HEAD:
    case LC_HTTP1_MORE: lc_conn_deadline(conn, LC_DEADLINE_BODY); return false;
    case LC_HTTP1_DONE: conn_enter(conn, LC_CONN_HANDLING); return true;
    case LC_HTTP1_FAIL: refuse_fault(conn); return false;
    }
    return false;
}

static void take_input(struct lc_conn *conn, struct lc_slice input)
{
    bool goes_on = true;

    while (goes_on && input.len != 0) {
        switch (conn->state) {
        case LC_CONN_IDLE:
            lc_server_start_call(conn->server);
            conn_enter(conn, LC_CONN_READING);
            break;
        case LC_CONN_READING: goes_on = take_head(conn, &input); break;
        case LC_CONN_RECEIVING: goes_on = take_body(conn, &input); break;
        case LC_CONN_HANDLING:
        case LC_CONN_REPLYING: goes_on = false; break;
        case LC_CONN_LINGERING:
        case LC_CONN_CLOSED: return;
        }
    }
    switch (conn->state) {
    case LC_CONN_READING:
        if (lc_list_is_empty(&conn->due))
            lc_conn_deadline(conn, LC_DEADLINE_HEAD);
        break;
    case LC_CONN_RECEIVING:
    case LC_CONN_HANDLING:
    case LC_CONN_REPLYING: /* its log line is still to come */
        if (!detach(conn)) {
            lc_conn_abandon(conn);
            return;
        }
        break;
    case LC_CONN_IDLE: break;
    case LC_CONN_LINGERING:
    case LC_CONN_CLOSED: return;
    }
    keep_rest(conn, input);
}

/* Closes as soon as the answers to earlier requests have left. */
static void leave(struct lc_conn *conn)
{
    lc_reply_flush(conn);
    if (conn->queue == NULL)
        conn_enter(conn, LC_CONN_CLOSED);
}

static void on_eof(struct lc_conn *conn)
{
    conn->has_eof = true;
    switch (conn->state) {
    case LC_CONN_HANDLING:
    case LC_CONN_REPLYING: /* it may still want its answer */
        lc_conn_watch(conn, conn->events & ~UV_READABLE);
        break;
    case LC_CONN_IDLE:
    case LC_CONN_READING:
    case LC_CONN_RECEIVING:
    case LC_CONN_LINGERING: leave(conn); break;
    case LC_CONN_CLOSED: break;
    }
}

/* All answers have left: the connection goes on with what its client sent meanwhile. */
static void read_on(struct lc_conn *conn)
{
    switch (conn->state) {
    case LC_CONN_IDLE:
        wait_for_request(conn);
        if (conn->pending_len != 0)
            take_input(conn, (struct lc_slice){conn->pending, conn->pending_len});
        break;
    case LC_CONN_READING: lc_conn_deadline(conn, LC_DEADLINE_HEAD); break;
    case LC_CONN_RECEIVING: lc_conn_deadline(conn, LC_DEADLINE_BODY); break;
    case LC_CONN_HANDLING:
    case LC_CONN_REPLYING: break;
    case LC_CONN_LINGERING:
    case LC_CONN_CLOSED: break;
    }
    if (conn->queue != NULL || conn->state == LC_CONN_CLOSED)
        return;
    lc_conn_watch(conn, conn->has_eof ? 0 : UV_READABLE);
    if (conn->has_eof && conn->state != LC_CONN_HANDLING)
        leave(conn);
}

static ssize_t read_some(struct lc_conn *conn, char *into, size_t room)
{
    ssize_t n;

    do
        n = recv(conn->fd, into, room, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Bytes that come while an answer is under way wait, up to a bound. */
static void read_ahead(struct lc_conn *conn)
{
    if (conn->pending_len >= PENDING_MAX) {
        lc_conn_watch(conn, conn->events & ~UV_READABLE);
        return;
    }
    grow_pending(conn, conn->pending_len + 4096);
    ssize_t n = read_some(conn, conn->pending + conn->pending_len,
                          conn->pending_room - conn->pending_len);
    if (n > 0)
        conn->pending_len += (size_t)n;
    else if (n == 0)
        on_eof(conn);
    else if (errno != EAGAIN)
        lc_conn_abandon(conn);
}

static void on_readable(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;
    struct lc_slice input;
    ssize_t n;

    if (conn->state == LC_CONN_HANDLING || conn->state == LC_CONN_REPLYING) {
        read_ahead(conn);
        return;
    }
    if (conn->pending_len == 0) {
        n = read_some(conn, server->read_buffer, LC_READ_SIZE);
        input = (struct lc_slice){server->read_buffer, n > 0 ? (size_t)n : 0};
    } else {
        /* More of a head: the room doubles, so that slow clients cost little memory. */
        grow_pending(conn, conn->pending_len + conn->pending_len / 2 + 512);
        n = read_some(conn, conn->pending + conn->pending_len,
                      conn->pending_room - conn->pending_len);
        conn->pending_len += n > 0 ? (size_t)n : 0;
        input = (struct lc_slice){conn->pending, conn->pending_len};
    }
    if (n > 0) {
        if (conn->state != LC_CONN_LINGERING)
            take_input(conn, input);
        return;
    }
    if (n == 0)
        on_eof(conn);
    else if (errno != EAGAIN)
        lc_conn_abandon(conn);
}

static void on_writable(struct lc_conn *conn)
{
    lc_reply_on_writable(conn);
    if (conn->queue != NULL || conn->is_gone)
        return;
    if (conn->state == LC_CONN_REPLYING)
        complete_request(conn);
    else if (conn->state == LC_CONN_HANDLING)
        resume_request(conn);
    if (conn->queue == NULL)
        read_on(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct lc_conn *conn = LC_CONTAINER(poll, struct lc_conn, poll);

    if (status < 0) {
        lc_conn_abandon(conn);
        return;
    }
    if (events & UV_WRITABLE)
        on_writable(conn);
    if ((events & UV_READABLE) && (conn->events & UV_READABLE) &&
        conn->state != LC_CONN_CLOSED)
        on_readable(conn);
    if (conn->is_gone && conn->state != LC_CONN_CLOSED)
        lc_conn_abandon(conn);
}

/* --- ends ---------------------------------------------------------------------------------- */

void lc_conn_abandon(struct lc_conn *conn)
{
    conn->is_gone = true;
    lc_reply_discard(conn);
    switch (conn->state) {
    case LC_CONN_HANDLING: /* the application has to let go first */
        resume_request(conn);
        if (conn->state == LC_CONN_HANDLING)
            lc_conn_watch(conn, 0);
        break;
    case LC_CONN_REPLYING: complete_request(conn); break;
    case LC_CONN_CLOSED: break;
    case LC_CONN_IDLE:
    case LC_CONN_READING:
    case LC_CONN_RECEIVING:
    case LC_CONN_LINGERING: conn_enter(conn, LC_CONN_CLOSED); break;
    }
}

static void refuse_late(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    bool is_head = conn->state == LC_CONN_READING;

    if (is_head) {
        exchange->head = (struct lc_slice){conn->pending, conn->pending_len};
        lc_http1_move(&exchange->http1, conn->pending);
    }
    refuse(conn, 408, "Request Timeout",
           is_head ? "The request head did not arrive in time"
                   : "The request body did not arrive in time");
}

static bool is_readable(const struct lc_conn *conn)
{
    char byte;

    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void lc_conn_expire(struct lc_conn *conn, enum lc_deadline kind)
{
    lc_conn_no_deadline(conn);
    switch (kind) {
    case LC_DEADLINE_HEAD:
    case LC_DEADLINE_BODY:
    case LC_DEADLINE_IDLE:
    case LC_DEADLINE_DRAIN:
        /* What came while a slow call kept the loop was in time. */
        if (conn->state != LC_CONN_LINGERING && is_readable(conn))
            on_readable(conn);
        else if (conn->state == LC_CONN_IDLE || conn->state == LC_CONN_LINGERING)
            conn_enter(conn, LC_CONN_CLOSED);
        else
            refuse_late(conn);
        break;
    case LC_DEADLINE_WRITE:
        on_writable(conn); /* the same */
        if (conn->is_gone || (conn->queue != NULL && lc_list_is_empty(&conn->due))) {
            lc_log(LC_DEBUG, "%s takes no more bytes: connection closed",
                   conn->remote_addr);
            lc_conn_abandon(conn);
        }
        break;
    case LC_DEADLINE_LINGER: conn_enter(conn, LC_CONN_CLOSED); break;
    case LC_DEADLINE_COUNT: break;
    }
}

/* A busy client sends its next request as soon as it has an answer: closing in its face would
 * lose that request. So a connection that was active just now stays for a moment and, if a
 * request does come, is told to close with the answer. One that has been quiet goes at once. */
void lc_conn_drain(struct lc_conn *conn)
{
    uint64_t now = uv_now(&conn->server->loop);

    if (conn->state == LC_CONN_LINGERING)
        lc_conn_deadline(conn, LC_DEADLINE_DRAIN);
    if (conn->state != LC_CONN_IDLE)
        return;
    lc_reply_flush(conn);
    if (conn->queue != NULL)
        return; /* goes when its last answer has left */
    if (is_readable(conn))
        on_readable(conn);
    else if (now - conn->active_ms < DRAIN_QUIET_MS)
        lc_conn_deadline(conn, LC_DEADLINE_DRAIN);
    else
        conn_enter(conn, LC_CONN_CLOSED);
}
