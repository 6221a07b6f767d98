#include "worker/queue.h"

#include "base/fd.h"
#include "base/mem.h"
#include "worker/conn.h"
#include "worker/deadline.h"
#include "worker/reply.h"

#include <licorne/log.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    PIECES_PER_WRITE = 32,
    FILE_SHARE = 1024 *
                 1024, /* most that a file sends in one go: others want their turn */
};

/* --- pieces --------------------------------------------------------------------------------- */

static void release_piece(struct lc_piece *piece)
{
    if (piece->release != NULL)
        piece->release(piece->owner);
    lc_fd_close(&piece->file);
    free(piece);
}

void lc_queue_release_spent(struct lc_server *server)
{
    struct lc_piece *piece;

    while ((piece = server->spent) != NULL) {
        server->spent = piece->next;
        release_piece(piece);
    }
}

/* A client that does not take its answers is not read from meanwhile: nothing of it but the room
 * in its socket counts until the queue is empty. */
static void wait_for_room(struct lc_conn *conn)
{
    conn->server->has_unfinished = true;
    uv_update_time(&conn->server->loop); /* the call in hand may be a slow one */
    lc_conn_watch(conn, UV_WRITABLE);
    lc_conn_await_room(conn);
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

void lc_queue_copy(struct lc_conn *conn, struct lc_slice bytes)
{
    if (bytes.len == 0)
        return;
    struct lc_piece *piece = lc_malloc(sizeof(*piece) + bytes.len);

    memcpy(piece->bytes, bytes.at, bytes.len);
    *piece = (struct lc_piece){.at = piece->bytes, .len = bytes.len, .file = -1};
    enqueue(conn, piece);
}

void lc_queue_owned(struct lc_conn *conn, struct lc_slice bytes, void (*release)(void *),
                    void *owner)
{
    struct lc_piece *piece = lc_malloc(sizeof(*piece));

    *piece = (struct lc_piece){
        .at = bytes.at, .len = bytes.len, .file = -1, .release = release, .owner = owner};
    enqueue(conn, piece);
}

static void drop_first(struct lc_conn *conn)
{
    struct lc_piece *piece = conn->queue;

    conn->queue = piece->next;
    if (conn->queue == NULL)
        conn->queue_end = &conn->queue;
    if (piece->release == NULL || !conn->server->is_relieved) {
        release_piece(piece);
        return;
    }
    piece->next =
        conn->server->spent; /* what the application owns is not for this thread */
    conn->server->spent = piece;
}

void lc_queue_drop(struct lc_conn *conn)
{
    while (conn->queue != NULL)
        drop_first(conn);
    conn->queued = 0;
}

void lc_queue_fail(struct lc_conn *conn)
{
    conn->is_gone = true;
    lc_reply_discard(conn);
}

/* Takes `n` sent bytes off the queue. */
static void advance(struct lc_conn *conn, size_t n)
{
    conn->queued -= n;
    while (conn->queue != NULL && n >= conn->queue->len) {
        n -= conn->queue->len;
        drop_first(conn);
    }
    if (n > 0) {
        lc_assert(conn->queue != NULL);
        if (conn->queue->at != NULL)
            conn->queue->at += n;
        conn->queue->len -= n;
    }
}

/* --- files ---------------------------------------------------------------------------------- */

void lc_queue_report_file(struct lc_request *request, size_t missing)
{
    if (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN && errno != ETIMEDOUT)
        lc_log(LC_ERROR, "%.*s %.*s: %s; the connection is closed",
               LC_ARG(request->method), LC_ARG(request->target),
               errno == ENODATA ? "the file became shorter while it was sent"
                                : strerror(errno));
    request->response.written -= missing;
}

/* The file is one of the request in hand: a response is over only when all of it has left. */
static void on_file_failed(struct lc_conn *conn, size_t missing)
{
    lc_queue_report_file(&conn->exchange->request, missing);
    lc_queue_fail(conn);
}

void lc_queue_file(struct lc_conn *conn, int file, off_t offset, size_t len)
{
    int own = fcntl(file, F_DUPFD_CLOEXEC, 0);

    if (own < 0) {
        on_file_failed(conn, len);
        return;
    }
    struct lc_piece *piece = lc_malloc(sizeof(*piece));
    *piece = (struct lc_piece){.len = len, .file = own, .offset = offset};
    enqueue(conn, piece);
}

static ssize_t send_some(struct lc_conn *conn, int file, off_t *offset, size_t len)
{
    ssize_t n = lc_wire_send_file(&conn->wire, file, offset,
                                  len < FILE_SHARE ? len : FILE_SHARE);

    if (n < 0)
        on_file_failed(conn, len);
    return n;
}

size_t lc_queue_send_file_now(struct lc_conn *conn, int file, off_t offset, size_t len)
{
    ssize_t n = send_some(conn, file, &offset, len);

    return n < 0 ? 0 : (size_t)n;
}

/* --- writing -------------------------------------------------------------------------------- */

/* -1 when the connection has failed, else how many bytes the socket took. */
static ssize_t write_some(struct lc_conn *conn, const struct iovec *parts, int count,
                          bool has_more)
{
    ssize_t n = has_more ? lc_wire_write_more(&conn->wire, parts, count)
                         : lc_wire_write(&conn->wire, parts, count);

    if (n < 0)
        lc_queue_fail(conn);
    return n;
}

size_t lc_queue_write_now(struct lc_conn *conn, struct lc_slice first,
                          struct lc_slice second, bool has_more)
{
    struct iovec parts[2];
    int count = 0;

    if (first.len != 0)
        parts[count++] = (struct iovec){(void *)first.at, first.len};
    if (second.len != 0)
        parts[count++] = (struct iovec){(void *)second.at, second.len};
    ssize_t n = count == 0 ? 0 : write_some(conn, parts, count, has_more);
    return n < 0 ? 0 : (size_t)n;
}

/* What lies in memory at the head of the queue. */
static ssize_t write_bytes(struct lc_conn *conn)
{
    struct iovec parts[PIECES_PER_WRITE];
    struct lc_piece *piece = conn->queue;
    int count = 0;

    for (; piece != NULL && piece->file < 0 && count < PIECES_PER_WRITE;
         piece = piece->next)
        parts[count++] = (struct iovec){(void *)piece->at, piece->len};
    return write_some(conn, parts, count, piece != NULL);
}

void lc_queue_write(struct lc_conn *conn)
{
    size_t of_files = 0;

    while (conn->queue != NULL && of_files < FILE_SHARE) {
        struct lc_piece *first = conn->queue;
        bool is_file = first->file >= 0;
        ssize_t n = is_file ? send_some(conn, first->file, &first->offset, first->len)
                            : write_bytes(conn);

        if (n <= 0)
            return;
        of_files += is_file ? (size_t)n : 0;
        advance(conn, (size_t)n);
    }
}
