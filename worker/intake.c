#include "worker/intake.h"

#include "app/error_page.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/deadline.h"
#include "worker/exchange.h"
#include "worker/greeting.h"
#include "worker/real_ip.h"
#include "worker/relay.h"
#include "worker/reply.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <string.h>

enum {
    PENDING_MAX = 64 * 1024, /* bytes read ahead while the application has the request */
    SHORT_HEAD = 1024,       /* looking at so many bytes again costs next to nothing   */
    LINGER_MAX_MS = 30000,
};

/* --- requests that are not taken --------------------------------------------------------- */

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
    lc_conn_enter(conn, LC_CONN_REPLYING);
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

void lc_intake_fail(struct lc_conn *conn)
{
    refuse(conn, 500, "Internal Server Error", "");
}

/* Many connections may send heads slowly, or never to the end. What such a one has is kept as bytes,
 * and looked at anew when more have come; if it is much, only when much more has come, or a
 * client could have a long head read for every byte. */
static void park_head(struct lc_conn *conn, size_t len)
{
    if (len > SHORT_HEAD && len < conn->parked + conn->parked / 4)
        return;
    conn->parked = len;
    conn->began_us = conn->exchange->request.started_us;
    lc_exchange_return(conn->server, conn->exchange);
    conn->exchange = NULL;
}

static struct lc_exchange *exchange_of(struct lc_conn *conn)
{
    if (conn->exchange == NULL) {
        conn->exchange = lc_exchange_lend(conn->server, conn);
        conn->exchange->request.started_us = conn->began_us;
    }
    return conn->exchange;
}

void lc_intake_late(struct lc_conn *conn)
{
    bool is_head = conn->state == LC_CONN_READING;

    if (is_head) {
        struct lc_exchange *exchange = exchange_of(conn);
        size_t used;

        exchange->head = (struct lc_slice){conn->pending, conn->pending_len};
        if (conn->is_greeted)
            lc_http1_head(&exchange->http1, exchange->head, &used); /* for the log line */
    }
    refuse(conn, 408, "Request Timeout",
           is_head ? "The request head did not arrive in time"
                   : "The request body did not arrive in time");
}

/* --- what was read and not used yet ------------------------------------------------------ */

void lc_intake_drop(struct lc_conn *conn)
{
    free(conn->pending);
    conn->pending = NULL;
    conn->pending_len = conn->pending_room = 0;
}

static void grow_pending(struct lc_conn *conn, size_t room)
{
    if (conn->pending != NULL && conn->pending_room >= room)
        return;
    conn->pending_room = (room + 63) / 64 * 64;
    conn->pending = lc_realloc(conn->pending, conn->pending_room);
}

void lc_intake_keep(struct lc_conn *conn, struct lc_slice rest)
{
    if (rest.len == 0) {
        lc_intake_drop(conn);
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

    if (conn->is_lent)
        return true; /* lc_lend_prepare has done it */
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

/* The application has the receiving side. */
static bool is_pulled(const struct lc_conn *conn)
{
    return conn->state == LC_CONN_HANDLING && conn->exchange->pull.buffer != NULL;
}

/* request_buffering = off: the application reads the rest itself. `input` becomes what follows the
 * request if that has ended already. */
static void hand_over(struct lc_conn *conn, struct lc_slice *input)
{
    struct lc_exchange *exchange = conn->exchange;

    lc_request_relocate(&exchange->request, &exchange->head);
    lc_pull_begin(exchange, *input);
    lc_intake_drop(conn);
    lc_conn_enter(conn, LC_CONN_HANDLING);
    if (is_pulled(conn))
        lc_conn_watch(conn, conn->events & ~UV_READABLE);
    *input = (struct lc_slice){conn->pending, conn->pending_len};
}

void lc_intake_take_back(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;

    lc_intake_keep(conn, lc_pull_end(exchange));
    if (exchange->request.body.has_more || exchange->request.body.error != 0)
        conn->lingers = true;
}

/* A proxy may announce a client some time before that client asks for anything. */
static void await_first_request(struct lc_conn *conn)
{
    lc_conn_enter(conn, LC_CONN_IDLE);
    lc_conn_await_head(conn);
}

/* A step through the input. Tells whether it got further, with the input shortened. */
static bool take_greeting(struct lc_conn *conn, struct lc_slice *input)
{
    switch (lc_greeting_read(conn, input, &exchange_of(conn)->fault)) {
    case LC_PROXY_MORE: return false;
    case LC_PROXY_NONE: return true;
    case LC_PROXY_DONE:
        if (input->len == 0)
            await_first_request(conn);
        return true;
    case LC_PROXY_FAIL: refuse_fault(conn); return false;
    }
    return false;
}

/* While the relief thread has the server the application is in a call. */
static bool is_application_busy(const struct lc_conn *conn)
{
    return conn->server->is_relieved;
}

/* Once a thread has a request whose body it pulls, nobody else can. */
static bool has_no_puller(const struct lc_conn *conn)
{
    return is_application_busy(conn) ||
           (lc_lender_is_open(conn->server->lender) && !lc_server_has_room(conn->server));
}

/* All is here that the application needs. */
static void call_application(struct lc_conn *conn)
{
    lc_conn_enter(conn, is_application_busy(conn) ? LC_CONN_WAITING : LC_CONN_HANDLING);
}

static void await_body(struct lc_conn *conn, struct lc_slice *input)
{
    if (conn->server->config->request_buffering) {
        lc_conn_enter(conn, LC_CONN_RECEIVING);
        if (conn->exchange->request.expects_100 && input->len == 0)
            send_continue(conn);
    } else if (has_no_puller(conn)) {
        lc_conn_enter(conn, LC_CONN_WAITING);
    } else {
        hand_over(conn, input);
    }
}

static bool take_head(struct lc_conn *conn, struct lc_slice *input)
{
    struct lc_exchange *exchange = exchange_of(conn);
    size_t used;

    enum lc_http1_result result = lc_http1_head(&exchange->http1, *input, &used);
    exchange->head = (struct lc_slice){input->at,
                                       result == LC_HTTP1_FAIL ? input->len : used};
    input->at += used;
    input->len -= used;
    if (conn->server->rules.read_forwarded != NULL &&
        (result == LC_HTTP1_DONE || result == LC_HTTP1_HEAD))
        lc_real_ip_find(conn);
    switch (result) {
    case LC_HTTP1_MORE: return false;
    case LC_HTTP1_DONE: call_application(conn); return true;
    case LC_HTTP1_HEAD:
        if (exchange->is_received)
            call_application(conn);
        else
            await_body(conn, input);
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
    case LC_HTTP1_MORE: lc_conn_on_body(conn); return false;
    case LC_HTTP1_DONE: call_application(conn); return true;
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
            lc_conn_enter(conn, LC_CONN_READING);
            break;
        case LC_CONN_READING:
            goes_on = conn->is_greeted ? take_head(conn, &input)
                                       : take_greeting(conn, &input);
            break;
        case LC_CONN_RECEIVING: goes_on = take_body(conn, &input); break;
        case LC_CONN_WAITING:
        case LC_CONN_HANDLING:
        case LC_CONN_REPLYING: goes_on = false; break;
        case LC_CONN_HANDSHAKING:
        case LC_CONN_RELAYED:
        case LC_CONN_LINGERING:
        case LC_CONN_CLOSED: return;
        }
    }
    if (is_pulled(conn))
        return;
    switch (conn->state) {
    case LC_CONN_READING:
        if (lc_list_is_empty(&conn->due))
            lc_conn_await_head(conn);
        park_head(conn, input.len);
        break;
    case LC_CONN_RECEIVING:
    case LC_CONN_WAITING:
    case LC_CONN_HANDLING:
    case LC_CONN_REPLYING: /* its log line is still to come */
        if (!detach(conn)) {
            lc_intake_drop(conn);
            lc_intake_fail(conn);
            return;
        }
        break;
    case LC_CONN_IDLE: break;
    case LC_CONN_HANDSHAKING:
    case LC_CONN_RELAYED:
    case LC_CONN_LINGERING:
    case LC_CONN_CLOSED: return;
    }
    lc_intake_keep(conn, input);
    if (conn->wire.is_relayed && conn->state == LC_CONN_IDLE)
        lc_relay_give_back(conn);
}

/* --- from the socket ---------------------------------------------------------------------- */

/* Closes as soon as the answers to earlier requests have left. */
static void leave(struct lc_conn *conn)
{
    lc_reply_flush(conn);
    if (conn->queue == NULL)
        lc_conn_enter(conn, LC_CONN_CLOSED);
}

static void on_eof(struct lc_conn *conn)
{
    conn->has_eof = true;
    if (conn->is_lent)
        lc_lent_on_eof(conn);
    switch (conn->state) {
    case LC_CONN_WAITING:
    case LC_CONN_HANDLING:
    case LC_CONN_REPLYING: /* it may still want its answer */
        lc_conn_watch(conn, conn->events & ~UV_READABLE);
        break;
    case LC_CONN_HANDSHAKING:
    case LC_CONN_IDLE:
    case LC_CONN_READING:
    case LC_CONN_RECEIVING:
    case LC_CONN_LINGERING: leave(conn); break;
    case LC_CONN_RELAYED:
    case LC_CONN_CLOSED: break;
    }
}

/* All answers have left: the connection goes on with what its client sent meanwhile. */
void lc_intake_read_on(struct lc_conn *conn)
{
    switch (conn->state) {
    case LC_CONN_IDLE:
        lc_conn_await_request(conn);
        if (conn->pending_len != 0)
            take_input(conn, (struct lc_slice){conn->pending, conn->pending_len});
        break;
    case LC_CONN_READING: lc_conn_await_head(conn); break;
    case LC_CONN_RECEIVING: lc_conn_await_body(conn); break;
    case LC_CONN_WAITING:
    case LC_CONN_HANDLING:
    case LC_CONN_REPLYING: break;
    case LC_CONN_HANDSHAKING:
    case LC_CONN_RELAYED:
    case LC_CONN_LINGERING:
    case LC_CONN_CLOSED: break;
    }
    /* Whoever waits for the application is not read from, and wants its answer. */
    if (conn->queue != NULL || conn->state == LC_CONN_CLOSED ||
        conn->state == LC_CONN_WAITING)
        return;
    lc_conn_watch(conn, conn->has_eof || is_pulled(conn) ? 0 : UV_READABLE);
    if (conn->has_eof && conn->state != LC_CONN_HANDLING)
        leave(conn);
    else if (conn->wire.is_relayed && conn->state == LC_CONN_IDLE)
        lc_relay_give_back(conn);
}

void lc_intake_feed(struct lc_conn *conn, struct lc_slice bytes)
{
    lc_intake_keep(conn, bytes);
    lc_intake_read_on(conn);
}

void lc_intake_adopt(struct lc_conn *conn, struct lc_slice bytes, struct lc_slice body,
                     int file, uint64_t body_len)
{
    lc_server_start_call(conn->server);
    lc_conn_enter(conn, LC_CONN_READING);
    struct lc_exchange *exchange = conn->exchange;
    exchange->is_received = true;
    if (file >= 0)
        lc_gather_adopt(&exchange->body, file, body_len);
    else if (body.len != 0)
        lc_gather_copy(&exchange->body, body);
    lc_intake_keep(conn, bytes);
    take_input(conn, (struct lc_slice){conn->pending, conn->pending_len});
}

void lc_intake_go_on(struct lc_conn *conn)
{
    struct lc_slice input = {conn->pending, conn->pending_len};

    lc_server_start_call(conn->server);
    lc_conn_watch(conn, UV_READABLE);
    if (lc_exchange_is_received(conn->exchange)) {
        lc_conn_enter(conn, LC_CONN_HANDLING);
        input = (struct lc_slice){conn->pending, conn->pending_len};
    } else {
        hand_over(conn, &input);
    }
    take_input(conn, input);
}

/* Bytes that come while an answer is under way wait, up to a bound. */
static void read_ahead(struct lc_conn *conn)
{
    if (conn->pending_len >= PENDING_MAX) {
        lc_conn_watch(conn, conn->events & ~UV_READABLE);
        return;
    }
    grow_pending(conn, conn->pending_len + 4096);
    ssize_t n = lc_wire_read(&conn->wire, conn->pending + conn->pending_len,
                             conn->pending_room - conn->pending_len);
    if (n > 0)
        conn->pending_len += (size_t)n;
    else if (n == 0)
        on_eof(conn);
    else if (errno != EAGAIN)
        lc_conn_abandon(conn);
}

/* Reads what follows the bytes that are pending; `input` becomes both. */
static ssize_t read_behind(struct lc_conn *conn, struct lc_slice *input)
{
    char *into = conn->server->read_buffer;
    size_t len = conn->pending_len, room = LC_READ_SIZE;

    if (len > SHORT_HEAD) {
        /* The room grows with what is there, so that slow clients cost little memory. */
        grow_pending(conn, len + len / 2 + 512);
        into = conn->pending;
        room = conn->pending_room;
    } else if (len != 0) {
        memcpy(into, conn->pending, len);
    }
    ssize_t n = lc_wire_read(&conn->wire, into + len, room - len);
    if (n > 0) {
        conn->pending_len = into == conn->pending ? len + (size_t)n : 0;
        *input = (struct lc_slice){into, len + (size_t)n};
    }
    return n;
}

/* A client that was refused may send a long body to its end before it looks for the answer. */
static void linger_on(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    if (!server->is_draining && uv_now(&server->loop) - conn->active_ms < LINGER_MAX_MS)
        lc_conn_deadline(conn, LC_DEADLINE_LINGER);
}

void lc_intake_on_readable(struct lc_conn *conn)
{
    struct lc_slice input;

    if (conn->is_lent) {
        /* The answer that this follows may be known already. Then the next request may be too,
         * and a thread may read its body from the socket; or the answer waits to be sent. */
        lc_lender_hear(conn->server->lender);
        if (conn->state == LC_CONN_CLOSED || !(conn->events & UV_READABLE))
            return;
    }
    if (conn->state == LC_CONN_HANDLING || conn->state == LC_CONN_REPLYING) {
        read_ahead(conn);
        return;
    }
    if (conn->server->lender != NULL && conn->state == LC_CONN_IDLE &&
        lc_room_must_wait(conn))
        return;
    if (conn->state != LC_CONN_IDLE)
        lc_server_start_call(conn->server); /* not the time when its first bytes came */
    ssize_t n = read_behind(conn, &input);
    if (n == 0)
        on_eof(conn);
    else if (n < 0 && errno != EAGAIN)
        lc_conn_abandon(conn);
    else if (n > 0 && conn->state == LC_CONN_LINGERING)
        linger_on(conn);
    else if (n > 0)
        take_input(conn, input);
}
