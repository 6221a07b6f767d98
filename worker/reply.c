#include "worker/reply.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "base/inherit.h"
#include "config/config.h"
#include "worker/deadline.h"
#include "worker/queue.h"
#include "worker/relief.h"

#include <licorne/log.h>

#include <poll.h>
#include <string.h>
#include <unistd.h>

static struct lc_conn *conn_of(const struct lc_request *request)
{
    return ((const struct lc_exchange *)(const void *)request)->conn;
}

/* --- what is unsent -------------------------------------------------------------------------- */

static void drop_held(struct lc_conn *conn)
{
    conn->held_len = 0;
    lc_list_remove(&conn->held);
}

void lc_reply_discard(struct lc_conn *conn)
{
    drop_held(conn);
    lc_queue_drop(conn);
}

void lc_reply_on_writable(struct lc_conn *conn)
{
    size_t before = conn->queued;

    lc_queue_write(conn);
    if (conn->queue == NULL || conn->queued != before)
        lc_conn_on_left(conn, before - conn->queued);
    if (conn->queue != NULL && lc_conn_is_late(conn)) {
        lc_log(LC_DEBUG, "%s takes its answer too slowly: connection closed",
               conn->remote_addr);
        lc_queue_fail(conn);
    }
}

/* --- answers held until the end of the turn ------------------------------------------------ */

static void flush(struct lc_conn *conn, bool has_more)
{
    struct lc_slice held = {conn->server->turn + conn->held_at, conn->held_len};

    if (held.len == 0)
        return;
    drop_held(conn);
    if (conn->queue == NULL) {
        size_t n = lc_queue_write_now(conn, held, (struct lc_slice){NULL, 0}, has_more);

        if (conn->is_gone)
            return;
        held.at += n;
        held.len -= n;
    }
    lc_queue_copy(conn, held);
}

void lc_reply_flush(struct lc_conn *conn)
{
    flush(conn, false);
}

void lc_reply_flush_all(struct lc_server *server)
{
    struct lc_conn *conn;

    while ((conn = LC_LIST_FIRST(&server->held, struct lc_conn, held)) != NULL)
        lc_reply_flush(conn);
    server->turn_used = 0;
}

/* Appends to what the connection holds; there is room for `len` bytes. */
static void hold(struct lc_conn *conn, struct lc_slice bytes)
{
    struct lc_server *server = conn->server;

    if (bytes.len == 0)
        return;
    if (conn->held_len == 0) {
        conn->held_at = server->turn_used;
        lc_list_append(&server->held, &conn->held);
        if (server->turn_used == 0)
            server->turn_first_us = server->now_us;
    }
    memcpy(server->turn + server->turn_used, bytes.at, bytes.len);
    server->turn_used += bytes.len;
    conn->held_len += bytes.len;
}

static void make_room(struct lc_conn *conn, size_t len)
{
    struct lc_server *server = conn->server;

    /* A connection's bytes lie together: when others have come behind it, they go first. */
    if (conn->held_len != 0 && conn->held_at + conn->held_len != server->turn_used)
        lc_reply_flush(conn);
    if (LC_TURN_SIZE - server->turn_used < len)
        lc_reply_flush_all(server);
}

/* A large body follows what is held, in one writev, and is not copied unless it must be. */
static void send_large(struct lc_conn *conn, struct lc_slice text, struct lc_slice body,
                       void (*release)(void *), void *owner)
{
    make_room(conn, text.len);
    if (conn->is_gone) {
        if (release != NULL)
            release(owner);
        return;
    }
    hold(conn, text);

    struct lc_slice held = {conn->server->turn + conn->held_at, conn->held_len};
    size_t sent = 0;
    drop_held(conn);
    if (conn->queue == NULL)
        sent = lc_queue_write_now(conn, held, body, false);
    if (conn->is_gone || sent == held.len + body.len) {
        if (release != NULL)
            release(owner);
        return;
    }
    size_t of_held = sent < held.len ? sent : held.len;
    struct lc_slice rest = {body.at + (sent - of_held), body.len - (sent - of_held)};
    lc_queue_copy(conn, (struct lc_slice){held.at + of_held, held.len - of_held});
    if (release != NULL)
        lc_queue_owned(conn, rest, release, owner);
    else
        lc_queue_copy(conn, rest);
}

static enum lc_flow flow(const struct lc_conn *conn)
{
    if (conn->is_gone)
        return LC_FLOW_GONE;
    return conn->queued > LC_QUEUE_HIGH ? LC_FLOW_WAIT : LC_FLOW_GO;
}

static enum lc_flow on_send(struct lc_request *request, struct lc_slice text,
                            struct lc_slice body, void (*release)(void *), void *owner)
{
    struct lc_conn *conn = conn_of(request);

    if (!conn->is_gone && (body.len > LC_COPY_MAX || text.len > LC_COPY_MAX)) {
        if (text.len > LC_COPY_MAX) {
            send_large(conn, (struct lc_slice){"", 0}, text, NULL, NULL);
            text.len = 0;
        }
        send_large(conn, text, body, release, owner);
        return flow(conn);
    }
    if (!conn->is_gone) {
        make_room(conn, text.len + body.len);
        if (!conn->is_gone) {
            hold(conn, text);
            hold(conn, body);
        }
    }
    if (release != NULL)
        release(owner);
    return flow(conn);
}

/* A small file is copied behind its head. False if it cannot be read in one go. */
static bool hold_file(struct lc_conn *conn, struct lc_slice text, int file, off_t offset,
                      size_t len)
{
    char block[LC_COPY_MAX];

    if (pread(file, block, len, offset) != (ssize_t)len)
        return false;
    make_room(conn, text.len + len);
    if (!conn->is_gone) {
        hold(conn, text);
        hold(conn, (struct lc_slice){block, len});
    }
    return true;
}

static void send_file(struct lc_conn *conn, struct lc_slice text, int file, off_t offset,
                      size_t len)
{
    size_t sent = 0;

    make_room(conn, text.len);
    if (conn->is_gone)
        return;
    hold(conn, text);
    flush(conn, true);
    if (!conn->is_gone && conn->queue == NULL)
        sent = lc_queue_send_file_now(conn, file, offset, len);
    if (!conn->is_gone && sent < len)
        lc_queue_file(conn, file, offset + (off_t)sent, len - sent);
}

static enum lc_flow on_send_file(struct lc_request *request, struct lc_slice text,
                                 int file, uint64_t offset, uint64_t length)
{
    struct lc_conn *conn = conn_of(request);

    if (text.len > LC_COPY_MAX) {
        on_send(request, text, (struct lc_slice){NULL, 0}, NULL, NULL);
        text.len = 0;
    }
    if (!conn->is_gone && (length > LC_COPY_MAX ||
                           !hold_file(conn, text, file, (off_t)offset, (size_t)length)))
        send_file(conn, text, file, (off_t)offset, (size_t)length);
    return flow(conn);
}

void lc_reply_raw(struct lc_conn *conn, struct lc_slice bytes)
{
    if (conn->is_gone)
        return;
    if (bytes.len > LC_COPY_MAX) {
        send_large(conn, (struct lc_slice){"", 0}, bytes, NULL, NULL);
        return;
    }
    make_room(conn, bytes.len);
    if (!conn->is_gone)
        hold(conn, bytes);
}

static enum lc_flow on_flush(struct lc_request *request)
{
    struct lc_conn *conn = conn_of(request);

    lc_reply_flush(conn);
    return flow(conn);
}

/* Returns what the socket is ready for, if anything: after half a second at the latest, sooner
 * when there is a signal or no master any more. */
static short wait_a_little(struct lc_conn *conn, short events)
{
    struct lc_server *server = conn->server;
    struct pollfd at[] = {{.fd = conn->wire.fd, .events = events},
                          {.fd = server->inherit->channel}};

    atomic_store_explicit(&server->inherit->slot->heartbeat_ms, lc_clock_ms(),
                          memory_order_relaxed);
    int ready = lc_relief_poll(server, at, LC_COUNT(at), 500);
    uv_update_time(&server->loop);
    if (ready <= 0)
        return 0;
    if (at[1].revents & POLLHUP)
        server->is_orphan = true;
    return at[0].revents;
}

/* Only for controllers that cannot return: the worker stands still, but its heart beats. */
static enum lc_flow on_wait(struct lc_request *request)
{
    struct lc_conn *conn = conn_of(request);
    struct lc_server *server = conn->server;

    lc_reply_flush_all(server);
    while (!conn->is_gone && conn->queue != NULL) {
        if (lc_server_must_stop(server)) {
            lc_queue_fail(conn);
            break;
        }
        /* A socket counts as writable only when much of it is free; a slow client makes little
         * room at a time. */
        wait_a_little(conn, POLLOUT);
        lc_reply_on_writable(conn);
    }
    return conn->is_gone ? LC_FLOW_GONE : LC_FLOW_GO;
}

/* The same for a controller that reads a body which has not come yet. What it has written must
 * leave meanwhile: the client may be waiting for it. */
static enum lc_pull_wait wait_for_input(struct lc_conn *conn, uint64_t patience_ms)
{
    struct lc_server *server = conn->server;
    uint64_t since = lc_clock_ms();

    lc_reply_flush_all(server);
    while (!lc_server_must_stop(server)) {
        short events = wait_a_little(conn,
                                     conn->queue != NULL ? POLLIN | POLLOUT : POLLIN);

        if (events & ~POLLOUT)
            return LC_PULL_READY;
        if (events & POLLOUT)
            lc_reply_on_writable(conn);
        if (conn->is_gone)
            break;
        if (patience_ms != 0 && lc_clock_ms() - since >= patience_ms)
            return LC_PULL_LATE;
    }
    return LC_PULL_OVER;
}

static void on_receive(struct lc_request *request)
{
    lc_pull_receive((struct lc_exchange *)(void *)request, wait_for_input);
}

static void on_end(struct lc_request *request, bool is_broken)
{
    struct lc_exchange *exchange = (struct lc_exchange *)(void *)request;

    exchange->is_broken = is_broken;
    if (!exchange->is_calling)
        lc_conn_on_ended(exchange->conn);
}

bool lc_reply_may_keep(const struct lc_request *request)
{
    struct lc_exchange *exchange = (struct lc_exchange *)(void *)request;
    const struct lc_conn *conn = exchange->conn;
    const struct lc_server *server = conn->server;

    if (exchange->pull.buffer != NULL && !lc_pull_settle(exchange))
        return false;
    return server->config->keepalive > 0 && !lc_server_is_leaving(server) &&
           !conn->is_last &&
           (!conn->has_eof || conn->pending_len != 0 || lc_pull_has_rest(exchange));
}

struct lc_slice lc_reply_date_line(const struct lc_request *request)
{
    return lc_server_date(conn_of(request)->server);
}

const struct lc_host_ops lc_reply_ops = {
    .send = on_send,
    .send_file = on_send_file,
    .flush = on_flush,
    .wait = on_wait,
    .receive = on_receive,
    .end = on_end,
    .may_keep = lc_reply_may_keep,
    .date_line = lc_reply_date_line,
};
