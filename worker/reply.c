#include "worker/reply.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "base/inherit.h"
#include "config/config.h"

#include <poll.h>
#include <string.h>

enum { PIECES_PER_WRITE = 32 };

static struct lc_conn *conn_of(const struct lc_request *request)
{
    return ((const struct lc_exchange *)(const void *)request)->conn;
}

/* --- the queue: what the socket did not take -------------------------------------------- */

static void release_piece(struct lc_piece *piece)
{
    if (piece->release != NULL)
        piece->release(piece->owner);
    free(piece);
}

/* A client that does not take its answers is not read from meanwhile: nothing of it but the room
 * in its socket counts until the queue is empty. */
static void wait_for_room(struct lc_conn *conn)
{
    uv_update_time(&conn->server->loop); /* the call in hand may be a slow one */
    lc_conn_watch(conn, UV_WRITABLE);
    lc_conn_deadline(conn, LC_DEADLINE_WRITE);
}

static void enqueue(struct lc_conn *conn, struct lc_piece *piece)
{
    if (conn->queue == NULL)
        wait_for_room(conn);
    piece->next = NULL;
    *conn->queue_end = piece;
    conn->queue_end = &piece->next;
    conn->queued += piece->len;
}

static void enqueue_copy(struct lc_conn *conn, struct lc_slice bytes)
{
    if (bytes.len == 0)
        return;
    struct lc_piece *piece = lc_malloc(sizeof(*piece) + bytes.len);

    memcpy(piece->bytes, bytes.at, bytes.len);
    piece->at = piece->bytes;
    piece->len = bytes.len;
    piece->release = NULL;
    enqueue(conn, piece);
}

static void enqueue_owned(struct lc_conn *conn, struct lc_slice bytes,
                          void (*release)(void *), void *owner)
{
    struct lc_piece *piece = lc_malloc(sizeof(*piece));

    *piece = (struct lc_piece){
        .at = bytes.at, .len = bytes.len, .release = release, .owner = owner};
    enqueue(conn, piece);
}

static void drop_queue(struct lc_conn *conn)
{
    while (conn->queue != NULL) {
        struct lc_piece *piece = conn->queue;

        conn->queue = piece->next;
        release_piece(piece);
    }
    conn->queue_end = &conn->queue;
    conn->queued = 0;
}

static void drop_held(struct lc_conn *conn)
{
    conn->held_len = 0;
    lc_list_remove(&conn->held);
}

void lc_reply_discard(struct lc_conn *conn)
{
    drop_held(conn);
    drop_queue(conn);
}

/* The client has gone: the application learns it with its next write. */
static void on_write_failed(struct lc_conn *conn)
{
    conn->is_gone = true;
    lc_reply_discard(conn);
}

/* -1 when the connection has failed, else how many bytes the socket took. */
static ssize_t write_some(struct lc_conn *conn, const struct iovec *parts, int count)
{
    ssize_t n = lc_wire_write(&conn->wire, parts, count);

    if (n < 0)
        on_write_failed(conn);
    return n;
}

/* Takes `n` sent bytes off the queue. */
static void advance_queue(struct lc_conn *conn, size_t n)
{
    conn->queued -= n;
    while (conn->queue != NULL && n >= conn->queue->len) {
        struct lc_piece *piece = conn->queue;

        n -= piece->len;
        conn->queue = piece->next;
        if (conn->queue == NULL)
            conn->queue_end = &conn->queue;
        release_piece(piece);
    }
    if (n > 0) {
        lc_assert(conn->queue != NULL);
        conn->queue->at += n;
        conn->queue->len -= n;
    }
}

/* Writes until the queue is empty or the socket is full. True if anything left. */
static bool write_queue(struct lc_conn *conn)
{
    bool has_moved = false;

    while (conn->queue != NULL) {
        struct iovec parts[PIECES_PER_WRITE];
        int count = 0;

        for (struct lc_piece *p = conn->queue; p != NULL && count < PIECES_PER_WRITE;
             p = p->next)
            parts[count++] = (struct iovec){(void *)p->at, p->len};
        ssize_t n = write_some(conn, parts, count);
        if (n <= 0)
            return has_moved;
        has_moved = true;
        advance_queue(conn, (size_t)n);
    }
    return has_moved;
}

void lc_reply_on_writable(struct lc_conn *conn)
{
    bool has_moved = write_queue(conn);

    if (conn->queue == NULL)
        lc_conn_no_deadline(conn);
    else if (has_moved)
        lc_conn_deadline(conn, LC_DEADLINE_WRITE);
}

/* --- answers held until the end of the turn ------------------------------------------------ */

void lc_reply_flush(struct lc_conn *conn)
{
    struct lc_slice held = {conn->server->turn + conn->held_at, conn->held_len};

    if (held.len == 0)
        return;
    drop_held(conn);
    if (conn->queue == NULL) {
        struct iovec part = {(void *)held.at, held.len};
        ssize_t n = write_some(conn, &part, 1);

        if (n < 0)
            return;
        held.at += n;
        held.len -= (size_t)n;
    }
    enqueue_copy(conn, held);
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
    struct iovec parts[2] = {{(void *)held.at, held.len}, {(void *)body.at, body.len}};
    size_t sent = 0;
    drop_held(conn);
    if (conn->queue == NULL) {
        bool has_held = held.len != 0;
        ssize_t n = write_some(conn, has_held ? parts : parts + 1, has_held ? 2 : 1);

        sent = n < 0 ? 0 : (size_t)n;
    }
    if (conn->is_gone || sent == held.len + body.len) {
        if (release != NULL)
            release(owner);
        return;
    }
    size_t of_held = sent < held.len ? sent : held.len;
    struct lc_slice rest = {body.at + (sent - of_held), body.len - (sent - of_held)};
    enqueue_copy(conn, (struct lc_slice){held.at + of_held, held.len - of_held});
    if (release != NULL)
        enqueue_owned(conn, rest, release, owner);
    else
        enqueue_copy(conn, rest);
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

/* Only for controllers that cannot return: the worker stands still, but its heart beats. */
static enum lc_flow on_wait(struct lc_request *request)
{
    struct lc_conn *conn = conn_of(request);
    struct lc_server *server = conn->server;
    uint64_t patience = lc_server_patience(server, LC_DEADLINE_WRITE);
    uint64_t last_moved = lc_clock_ms();

    lc_reply_flush_all(server);
    while (!conn->is_gone && conn->queue != NULL) {
        struct pollfd room = {.fd = conn->wire.fd, .events = POLLOUT};
        uint64_t now = lc_clock_ms();

        atomic_store_explicit(&server->inherit->slot->heartbeat_ms, now,
                              memory_order_relaxed);
        if (patience != 0 && now - last_moved > patience) {
            on_write_failed(conn);
            break;
        }
        /* A socket counts as writable only when much of it is free; a slow client makes little
         * room at a time. */
        poll(&room, 1, 500);
        if (write_queue(conn))
            last_moved = lc_clock_ms();
    }
    return conn->is_gone ? LC_FLOW_GONE : LC_FLOW_GO;
}

static void on_end(struct lc_request *request, bool is_broken)
{
    struct lc_exchange *exchange = (struct lc_exchange *)(void *)request;

    exchange->is_broken = is_broken;
    if (!exchange->is_calling)
        lc_conn_on_ended(exchange->conn);
}

static bool may_keep(const struct lc_request *request)
{
    const struct lc_conn *conn = conn_of(request);
    const struct lc_server *server = conn->server;

    return server->config->keepalive > 0 && !server->is_draining &&
           (!conn->has_eof || conn->pending_len != 0);
}

static struct lc_slice date_line(const struct lc_request *request)
{
    return lc_server_date(conn_of(request)->server);
}

const struct lc_host_ops lc_reply_ops = {
    .send = on_send,
    .flush = on_flush,
    .wait = on_wait,
    .end = on_end,
    .may_keep = may_keep,
    .date_line = date_line,
};
