#include "worker/relay.h"

#include "base/fd.h"
#include "base/mem.h"
#include "worker/conn.h"
#include "worker/intake.h"
#include "worker/queue.h"
#include "worker/reply.h"
#include "worker/share.h"
#include "worker/side_loop.h"
#include "worker/word.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAIR_ROOM = 64 * 1024,  /* bytes on their way between the two workers, each way */
    PIECE_SIZE = 16 * 1024, /* what one encrypted record holds                      */
    TURN_PIECES = 8,        /* each way, before others have their turn              */
};

struct lc_relay {
    uv_poll_t poll;
    struct lc_conn *conn;
    int end;               /* this worker's of the pair                            */
    int returned;          /* the taker's, when it has handed it back, else -1     */
    int events;            /* UV_READABLE | UV_WRITABLE of `end`, as it is watched */
    uint32_t by_relief[2]; /* what the relief thread watches for: client, pair     */
    bool client_has_ended; /* nothing more comes from it                           */
    bool end_is_told;      /* … and the taker knows                                */
    bool taker_is_deaf;    /* it reads no more                                     */
    bool taker_has_ended;  /* nothing more comes from it                           */
    bool is_answered;      /* … and it has said that nothing was cut off           */
};

/* --- the pair ----------------------------------------------------------------------------------- */

bool lc_relay_is_needed(const struct lc_conn *conn)
{
    return conn->wire.tls != NULL && conn->state != LC_CONN_HANDSHAKING;
}

static void limit_room(int fd)
{
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){PAIR_ROOM}, sizeof(int));
}

int lc_relay_open(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    struct lc_relay *relay = lc_new(struct lc_relay);

    int failed = uv_poll_init(&server->loop, &relay->poll, ends[0]);
    if (failed != 0) {
        close(ends[0]);
        close(ends[1]);
        free(relay);
        errno = -failed;
        return -1;
    }
    limit_room(ends[0]);
    limit_room(ends[1]);
    relay->conn = conn;
    relay->end = ends[0];
    relay->returned = -1;
    conn->relay = relay;
    atomic_fetch_add_explicit(&server->relay_count, 1, memory_order_relaxed);
    return ends[1];
}

static void on_closed(uv_handle_t *handle)
{
    free(LC_CONTAINER(handle, struct lc_relay, poll));
}

static void watch_by_relief(struct lc_relay *relay, uint32_t client, uint32_t pair)
{
    struct lc_conn *conn = relay->conn;

    lc_side_loop_attend(conn, conn->wire.fd, relay->by_relief[0], client);
    lc_side_loop_attend(conn, relay->end, relay->by_relief[1], pair);
    relay->by_relief[0] = client;
    relay->by_relief[1] = pair;
}

void lc_relay_end(struct lc_conn *conn)
{
    struct lc_relay *relay = conn->relay;

    if (relay == NULL)
        return;
    conn->relay = NULL;
    watch_by_relief(relay, 0, 0);
    uv_close((uv_handle_t *)&relay->poll, on_closed);
    /* Processes that the application has forked may have it open too. */
    shutdown(relay->end, SHUT_RDWR);
    lc_fd_close(&relay->end);
    lc_fd_close(&relay->returned);
    atomic_fetch_sub_explicit(&conn->server->relay_count, 1, memory_order_relaxed);
}

/* --- what is watched ------------------------------------------------------------------------------ */

static void on_pair_ready(uv_poll_t *poll, int status, int events)
{
    struct lc_relay *relay = LC_CONTAINER(poll, struct lc_relay, poll);

    if (status < 0)
        relay->events =
            0; /* libuv has stopped; what came before the error is still to be read */
    lc_relay_go_on(relay->conn);
}

static void watch_pair(struct lc_relay *relay, int events)
{
    if (events == relay->events)
        return;
    relay->events = events;
    if (events == 0)
        uv_poll_stop(&relay->poll);
    else
        uv_poll_start(&relay->poll, events, on_pair_ready);
}

static uint32_t for_epoll(int events)
{
    return (events & UV_READABLE ? EPOLLIN : 0u) | (events & UV_WRITABLE ? EPOLLOUT : 0u);
}

/* Each side is read from while the other takes it. */
static void watch(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;
    int of_client = 0, of_pair = 0;

    if (conn->queue != NULL)
        of_client |= UV_WRITABLE;
    else if (!relay->taker_has_ended)
        of_pair |= UV_READABLE;
    if (conn->pending_len != 0 && !relay->taker_is_deaf)
        of_pair |= UV_WRITABLE;
    else if (conn->pending_len == 0 && conn->queue == NULL && !relay->client_has_ended)
        of_client |= UV_READABLE;
    lc_conn_watch(conn, of_client);
    lc_conn_mind_more(conn);
    watch_pair(relay, of_pair);
    watch_by_relief(relay, for_epoll(of_client), for_epoll(of_pair));
}

/* --- from the client to the taker ------------------------------------------------------------------ */

/* False when some of it, now pending, must wait. */
static bool pass_on(struct lc_relay *relay, struct lc_slice bytes)
{
    ssize_t n;

    do
        n = send(relay->end, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        /* Its last word is on its way: if that is not the end, these bytes are ours again. */
        relay->taker_is_deaf = errno != EAGAIN;
        n = 0;
    }
    bytes.at += n;
    bytes.len -= (size_t)n;
    lc_intake_keep(relay->conn, bytes);
    return bytes.len == 0;
}

/* False when there is nothing for now, or for ever. */
static bool read_client(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;
    char piece[PIECE_SIZE];

    ssize_t n = lc_wire_read(&conn->wire, piece, sizeof(piece));
    if (n > 0)
        return pass_on(relay, (struct lc_slice){piece, (size_t)n});
    if (n == 0)
        relay->client_has_ended = true;
    else if (errno != EAGAIN)
        lc_queue_fail(conn);
    return false;
}

static void move_input(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;
    struct lc_slice pending = {conn->pending, conn->pending_len};

    if (pending.len != 0 && !pass_on(relay, pending))
        return;
    for (int i = 0; i < TURN_PIECES && !relay->client_has_ended && conn->queue == NULL;
         i++)
        if (!read_client(relay))
            break;
    if (relay->client_has_ended && conn->pending_len == 0 && !relay->end_is_told) {
        shutdown(relay->end, SHUT_WR);
        relay->end_is_told = true;
    }
}

/* --- from the taker to the client ------------------------------------------------------------------ */

static void send_to_client(struct lc_conn *conn, struct lc_slice bytes)
{
    size_t n = lc_queue_write_now(conn, bytes, (struct lc_slice){NULL, 0}, false);

    if (!conn->is_gone)
        lc_queue_copy(conn, (struct lc_slice){bytes.at + n, bytes.len - n});
}

static void hear(struct lc_relay *relay, const struct lc_heard *heard)
{
    switch (heard->word) {
    case LC_WORD_NONE: return;
    case LC_WORD_GOODBYE: relay->is_answered = true; break;
    case LC_WORD_BACK: relay->returned = heard->end; break;
    }
    relay->taker_has_ended = true;
}

static bool read_taker(struct lc_relay *relay)
{
    char piece[PIECE_SIZE];
    struct lc_heard heard;

    ssize_t n = lc_word_receive(relay->end, piece, sizeof(piece), &heard);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n > 0)
        send_to_client(relay->conn, (struct lc_slice){piece, (size_t)n});
    else if (heard.word == LC_WORD_NONE)
        relay->taker_has_ended = true;
    hear(relay, &heard);
    return true;
}

static void move_output(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;

    if (conn->queue != NULL)
        lc_reply_on_writable(conn);
    for (int i = 0; i < TURN_PIECES && conn->queue == NULL && !conn->is_gone &&
                    !relay->taker_has_ended;
         i++)
        if (!read_taker(relay))
            break;
}

/* --- ends ---------------------------------------------------------------------------------------- */

/* What the taker has not read comes before what it was not sent. */
static void keep_unread(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;
    char *bytes = lc_malloc(PIECE_SIZE);
    size_t len = 0, room = PIECE_SIZE;
    ssize_t n;

    while ((n = recv(relay->returned, bytes + len, room - len, MSG_DONTWAIT)) > 0) {
        len += (size_t)n;
        if (len == room)
            bytes = lc_realloc(bytes, room *= 2);
    }
    if (len != 0) {
        bytes = lc_realloc(bytes, len + conn->pending_len);
        if (conn->pending_len != 0)
            memcpy(bytes + len, conn->pending, conn->pending_len);
        lc_intake_keep(conn, (struct lc_slice){bytes, len + conn->pending_len});
    }
    free(bytes);
}

/* An answer that was cut off must not look like one that is complete: no word of goodbye follows
 * it. The loop frees what belongs to the connection, for some of that is the application's. */
static void finish(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;

    if (!relay->is_answered || conn->is_gone)
        lc_wire_cut(&conn->wire);
    lc_relay_end(conn);
    lc_conn_enter(conn, LC_CONN_LINGERING);
}

static void go_on_alone(struct lc_relay *relay)
{
    struct lc_conn *conn = relay->conn;

    conn->has_eof = relay->client_has_ended;
    conn->has_asked = true;
    lc_relay_end(conn);
    lc_conn_enter(conn, LC_CONN_IDLE);
    lc_conn_watch(conn, conn->has_eof ? 0 : UV_READABLE);
    lc_conn_mind_more(conn);
    if (conn->pending_len != 0)
        lc_conn_wants_turn(conn);
    lc_side_loop_meet(conn);
}

static void take_back(struct lc_relay *relay)
{
    keep_unread(relay);
    relay->is_answered = true;
    if (relay->client_has_ended && relay->conn->pending_len == 0)
        finish(relay);
    else
        go_on_alone(relay);
}

void lc_relay_go_on(struct lc_conn *conn)
{
    struct lc_relay *relay = conn->relay;

    move_output(relay);
    if (!conn->is_gone && !relay->taker_has_ended && !relay->taker_is_deaf)
        move_input(relay);
    if (conn->is_gone)
        finish(relay);
    else if (!relay->taker_has_ended || conn->queue != NULL)
        watch(relay);
    else if (relay->returned >= 0)
        take_back(relay);
    else
        finish(relay);
}

void lc_relay_begin(struct lc_conn *conn)
{
    conn->relay->client_has_ended = conn->has_eof;
    lc_conn_enter(conn, LC_CONN_RELAYED);
    lc_relay_go_on(conn);
}

/* --- the taker -------------------------------------------------------------------------------------- */

void lc_relay_give_back(struct lc_conn *conn)
{
    if (!conn->wire.is_relayed || conn->has_eof || conn->is_last)
        return;
    lc_reply_flush(conn);
    if (conn->queue != NULL || conn->is_gone ||
        !lc_word_send(conn->wire.fd, LC_WORD_BACK))
        return;
    conn->is_passed = true;
    lc_conn_enter(conn, LC_CONN_CLOSED);
    if (!conn->server->is_relieved) /* else it is not the loop's thread */
        lc_share_release_keeps(conn->server);
}
