#include "worker/pull.h"

#include "app/error_page.h"
#include "app/request.h"
#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/conn.h"

#include <licorne/log.h>

#include <errno.h>
#include <string.h>

enum { AHEAD_MAX = 64 * 1024 }; /* bytes that the application did not ask for */

/* --- endings -------------------------------------------------------------------------------- */

static void fail(struct lc_exchange *exchange, int error)
{
    struct lc_body *body = &exchange->request.body;

    body->error = error;
    body->has_more = false;
}

/* What the client gets if the application cannot answer without the rest of the body. */
static void prepare_answer(struct lc_exchange *exchange, int status, const char *reason,
                           const char *text)
{
    struct lc_request *request = &exchange->request;

    request->body.refusal = (struct lc_refusal){
        .status = status,
        .answer = lc_error_answer(&request->arena, status, reason, lc_slice(text)),
        .page_len = lc_error_page(&request->arena, reason, lc_slice(text)).len,
    };
}

static void on_late(struct lc_exchange *exchange)
{
    prepare_answer(exchange, 408, "Request Timeout",
                   "The request body did not arrive in time");
    fail(exchange, ETIMEDOUT);
}

/* As Gunicorn has it: who breaks the coding of the chunks themselves gets no answer. */
static void on_fault(struct lc_exchange *exchange)
{
    const struct lc_fault *fault = &exchange->fault;
    bool is_of_chunks = fault->status == 400 && !exchange->http1.has_last_chunk;
    char page_text[sizeof(fault->text) + 64];

    lc_log(LC_WARN, "Invalid request from ip=%s: %s", exchange->conn->remote_addr,
           fault->text);
    if (!is_of_chunks) {
        lc_fault_page_text(page_text, sizeof(page_text), fault);
        prepare_answer(exchange, fault->status, fault->reason, page_text);
    }
    fail(exchange, is_of_chunks ? EBADMSG : fault->status == 413 ? EFBIG : EPROTO);
}

/* A body of known length just ends early: the application can count. */
static void on_eof(struct lc_exchange *exchange)
{
    exchange->pull.has_eof = true;
    fail(exchange, exchange->request.is_chunked_body ? ECONNRESET : 0);
}

/* --- decoding --------------------------------------------------------------------------------- */

/* What is decoded is never longer than what it was decoded from. */
static bool on_piece(void *owner, struct lc_slice piece, struct lc_fault *fault)
{
    struct lc_exchange *exchange = owner;
    struct lc_body *body = &exchange->request.body;

    (void)fault;
    memmove(exchange->pull.buffer + body->size, piece.at, piece.len);
    body->size += piece.len;
    exchange->pull.received += piece.len;
    return true;
}

static void on_complete(struct lc_exchange *exchange)
{
    struct lc_body *body = &exchange->request.body;

    body->has_more = false;
    body->length = exchange->pull.received;
}

/* Decodes the last `len` bytes of the buffer. */
static void decode(struct lc_exchange *exchange, size_t len)
{
    struct lc_pull *pull = &exchange->pull;
    struct lc_slice bytes = {pull->buffer + pull->end - len, len};
    size_t used;

    switch (lc_http1_body(&exchange->http1, bytes, &used)) {
    case LC_HTTP1_HEAD:
    case LC_HTTP1_MORE: break;
    case LC_HTTP1_DONE:
        pull->rest = pull->end - len + used;
        on_complete(exchange);
        break;
    case LC_HTTP1_FAIL: on_fault(exchange); break;
    }
}

/* One read behind what the buffer holds. False when nothing is there yet. */
static bool read_some(struct lc_exchange *exchange, size_t size)
{
    struct lc_pull *pull = &exchange->pull;
    ssize_t n = lc_wire_read(&exchange->conn->wire, pull->buffer + pull->end, size);

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n < 0) {
        fail(exchange, errno);
    } else if (n == 0) {
        on_eof(exchange);
    } else {
        pull->end += (size_t)n;
        decode(exchange, (size_t)n);
    }
    return true;
}

/* --- from outside ---------------------------------------------------------------------------- */

void lc_pull_begin(struct lc_exchange *exchange, struct lc_slice rest)
{
    struct lc_pull *pull = &exchange->pull;
    struct lc_body *body = &exchange->request.body;
    const struct lc_server *server = exchange->conn->server;

    *pull = (struct lc_pull){.end = rest.len, .room = rest.len + AHEAD_MAX};
    lc_pace_start(&pull->pace, lc_server_patience(server, LC_DEADLINE_BODY),
                  server->config->body_min_rate, 0);
    if (pull->room < LC_READ_SIZE + AHEAD_MAX)
        pull->room = LC_READ_SIZE + AHEAD_MAX;
    pull->buffer = lc_malloc(pull->room);
    *body = (struct lc_body){
        .at = pull->buffer,
        .length = exchange->request.is_chunked_body
                      ? LC_BODY_UNKNOWN
                      : lc_http1_content_length(&exchange->http1),
        .fd = -1,
        .has_more = true,
    };
    exchange->http1.on_body = on_piece;
    exchange->http1.owner = exchange;
    if (rest.len == 0)
        return;
    memcpy(pull->buffer, rest.at, rest.len);
    decode(exchange, rest.len);
}

/* RFC 9110, 10.1.1. Not before: the application may answer without the body. */
static void send_continue(struct lc_exchange *exchange)
{
    struct lc_request *request = &exchange->request;

    if (!request->expects_100)
        return;
    request->expects_100 = false;
    if (exchange->pull.received != 0 || exchange->pull.end != 0 ||
        request->response.is_started)
        return;
    request->host->send(request, LC_SLICE("HTTP/1.1 100 Continue\r\n\r\n"),
                        (struct lc_slice){NULL, 0}, NULL, NULL);
    request->host->flush(request);
}

/* How long the client may be waited for now; 0: for ever. */
static uint64_t patience_ms(const struct lc_pull *pull)
{
    if (pull->pace.patience_us == 0)
        return 0;
    return (pull->pace.due_us - pull->waited_us + 999) / 1000;
}

static void wait_for_more(struct lc_exchange *exchange, lc_pull_wait_fn wait)
{
    struct lc_pull *pull = &exchange->pull;

    if (lc_pace_is_late(&pull->pace, pull->waited_us)) {
        on_late(exchange);
        return;
    }
    uint64_t since_us = lc_clock_us();
    enum lc_pull_wait result = wait(exchange->conn, patience_ms(pull));
    pull->waited_us += lc_clock_us() - since_us;
    switch (result) {
    case LC_PULL_READY: break;
    case LC_PULL_LATE: on_late(exchange); break;
    case LC_PULL_OVER: fail(exchange, ECONNABORTED); break;
    }
}

static void keep_pace(struct lc_pull *pull)
{
    lc_pace_gain(&pull->pace, pull->received - pull->paced, pull->waited_us);
    pull->paced = pull->received;
}

void lc_pull_receive(struct lc_exchange *exchange, lc_pull_wait_fn wait)
{
    struct lc_body *body = &exchange->request.body;

    send_continue(exchange);
    while (body->has_more && body->consumed == body->size) {
        exchange->pull.end = 0;
        body->size = body->consumed = 0;
        if (read_some(exchange, LC_READ_SIZE))
            keep_pace(&exchange->pull);
        else
            wait_for_more(exchange, wait);
    }
}

bool lc_pull_settle(struct lc_exchange *exchange)
{
    const struct lc_body *body = &exchange->request.body;
    const struct lc_pull *pull = &exchange->pull;

    /* A client that was not told to go on may never send it. */
    while (body->has_more && !exchange->request.expects_100 && pull->end < pull->room &&
           read_some(exchange, pull->room - pull->end))
        ;
    return !body->has_more && body->error == 0 && !pull->has_eof;
}

bool lc_pull_has_rest(const struct lc_exchange *exchange)
{
    const struct lc_pull *pull = &exchange->pull;

    return pull->buffer != NULL && pull->rest != 0 && pull->rest < pull->end;
}

struct lc_slice lc_pull_end(struct lc_exchange *exchange)
{
    const struct lc_pull *pull = &exchange->pull;

    exchange->conn->has_eof |= pull->has_eof;
    if (pull->rest == 0)
        return (struct lc_slice){NULL, 0};
    return (struct lc_slice){pull->buffer + pull->rest, pull->end - pull->rest};
}

void lc_pull_deinit(struct lc_pull *pull)
{
    free(pull->buffer);
    *pull = (struct lc_pull){0};
}
