/* A connection whose client sends a request in pieces, and whose application pulls the body. */
#pragma once
#include "app/request.h"
#include "base/log.h"
#include "base/mem.h"
#include "given_rules.h"
#include "worker/conn.h"
#include "worker/exchange.h"
#include "worker/rules.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    struct lc_server server;
    struct lc_config settings;
    struct lc_conn conn;
    struct lc_exchange *exchange;
    int client;
    struct lc_slice unsent; /* by the client */
    size_t step;            /* that it sends at a time */
    bool stays;             /* it neither sends the rest nor goes */
    bool is_over;           /* the worker stops                   */
    uint64_t patience_ms;   /* that was left at the last wait     */
    char sent[256];         /* by the server */
    size_t sent_len;
};

static struct stream *stream_of(struct lc_conn *conn)
{
    return LC_CONTAINER(conn, struct stream, conn);
}

/* The client sends its next bytes, and says so when there are no more. */
static bool stream_send(struct stream *stream)
{
    size_t n = stream->step < stream->unsent.len ? stream->step : stream->unsent.len;

    if (n == 0 && stream->stays)
        return false;
    if (n == 0)
        return shutdown(stream->client, SHUT_WR) == 0;
    lc_assert(write(stream->client, stream->unsent.at, n) == (ssize_t)n);
    stream->unsent.at += n;
    stream->unsent.len -= n;
    return true;
}

static enum lc_pull_wait stream_wait(struct lc_conn *conn, uint64_t patience_ms)
{
    struct stream *stream = stream_of(conn);

    stream->patience_ms = patience_ms;
    if (stream->is_over)
        return LC_PULL_OVER;
    return stream_send(stream) ? LC_PULL_READY : LC_PULL_LATE;
}

static void stream_receive(struct lc_request *request)
{
    lc_pull_receive((struct lc_exchange *)(void *)request, stream_wait);
}

static enum lc_flow stream_on_send(struct lc_request *request, struct lc_slice text,
                                   struct lc_slice body, void (*release)(void *),
                                   void *owner)
{
    struct stream *stream = stream_of(((struct lc_exchange *)(void *)request)->conn);

    (void)body, (void)release, (void)owner;
    lc_assert(stream->sent_len + text.len < sizeof(stream->sent));
    memcpy(stream->sent + stream->sent_len, text.at, text.len);
    stream->sent_len += text.len;
    return LC_FLOW_GO;
}

static enum lc_flow stream_on_flush(struct lc_request *request)
{
    (void)request;
    return LC_FLOW_GO;
}

static const struct lc_host_ops stream_ops = {
    .send = stream_on_send, .flush = stream_on_flush, .receive = stream_receive};

/* The head of `bytes` and `first` bytes behind it have come. False: it is no good, or there is no
 * body; close all the same. */
static inline bool stream_open(struct stream *stream, struct lc_slice bytes, size_t first,
                               size_t step, struct lc_config settings)
{
    int ends[2];
    size_t used = 0;

    lc_log_open(-1, LC_CRITICAL); /* what a bad client does is not worth a line here */
    *stream = (struct stream){.settings = settings, .step = step};
    lc_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    lc_wire_init(&stream->conn.wire, ends[0]);
    stream->client = ends[1];
    stream->server.config = &stream->settings;
    lc_rules_init(&stream->server.rules, &stream->settings);
    stream->conn.server = &stream->server;
    stream->exchange = lc_exchange_lend(&stream->server, &stream->conn);
    stream->exchange->request.host = &stream_ops;
    stream->exchange->request.is_detached = true;
    if (lc_http1_head(&stream->exchange->http1, bytes, &used) != LC_HTTP1_HEAD)
        return false;
    stream->unsent = (struct lc_slice){bytes.at + used, bytes.len - used};
    if (first > stream->unsent.len)
        first = stream->unsent.len;
    stream->unsent.at += first;
    stream->unsent.len -= first;
    lc_pull_begin(stream->exchange, (struct lc_slice){bytes.at + used, first});
    return true;
}

static inline void stream_close(struct stream *stream)
{
    close(stream->client);
    lc_wire_close(&stream->conn.wire);
    lc_exchange_return(&stream->server, stream->exchange);
    lc_exchange_free_all(&stream->server);
    lc_rules_deinit(&stream->server.rules);
}

/* Reads to the end in blocks of `block` bytes; how many came, and in `*error` why no more. */
static inline size_t stream_read(struct stream *stream, char *into, size_t room,
                                 size_t block, int *error)
{
    size_t len = 0;

    *error = 0;
    for (;;) {
        size_t want = block < room - len ? block : room - len;
        ssize_t n = lc_request_body_read(&stream->exchange->request, into + len, want);

        if (n < 0)
            *error = errno;
        if (n <= 0)
            return len;
        len += (size_t)n;
    }
}
