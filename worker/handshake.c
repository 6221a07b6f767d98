#include "worker/handshake.h"

#include "app/error_page.h"
#include "base/arena.h"
#include "base/clock.h"
#include "worker/conn.h"
#include "worker/deadline.h"
#include "worker/reply.h"
#include "worker/tls_conn.h"

#include <licorne/log.h>

#include <sys/socket.h>

/* A key operation takes a tenth of a millisecond (EC) to several (RSA): who is served already
 * must not wait for a crowd of those who have just come. */
enum { TURN_US = 2000 };

static void begin_requests(struct lc_conn *conn)
{
    conn->endpoints.tls = lc_tls_conn_info(conn->wire.tls);
    lc_conn_enter(conn, LC_CONN_IDLE);
    if (!conn->server->is_draining)
        lc_conn_deadline(conn, LC_DEADLINE_HEAD); /* it is new */
    lc_conn_watch(conn, UV_READABLE);
    lc_conn_read(conn); /* the first request may have come along */
}

/* The client has not understood that it should encrypt; it will understand this. */
static void answer_plainly(struct lc_conn *conn)
{
    static const char text[] = "The plain HTTP request was sent to HTTPS port";
    _Alignas(16) char memory[1024];
    struct lc_arena arena;

    lc_log(LC_WARN, "Invalid request from ip=%s: [SSL: HTTP_REQUEST] http request",
           conn->remote_addr);
    lc_arena_init(&arena, memory, sizeof(memory));
    struct lc_slice page = lc_error_answer(&arena, 400, "Bad Request", lc_slice(text));
    struct iovec part = {(void *)page.at, page.len};
    lc_wire_drop_tls(&conn->wire);
    lc_wire_write(&conn->wire, &part, 1); /* it fits: the socket is empty */
    lc_arena_deinit(&arena);
    lc_conn_enter(conn, LC_CONN_LINGERING);
}

/* OpenSSL has told the client why: closing at once could take these words back. */
static void give_up(struct lc_conn *conn, const char *why)
{
    lc_log(LC_INFO, "TLS handshake with ip=%s failed: %s", conn->remote_addr, why);
    lc_wire_drop_tls(&conn->wire);
    lc_conn_enter(conn, LC_CONN_LINGERING);
}

static void give_more_time(struct lc_conn *conn)
{
    conn->is_late = true;
    lc_conn_deadline(conn, LC_DEADLINE_HANDSHAKE);
}

static void await(struct lc_conn *conn, int events)
{
    lc_conn_watch(conn, events);
    if (conn->server->is_draining && !conn->is_late)
        give_more_time(conn); /* it has begun: a request is under way */
}

static void shake_hands(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;
    uint64_t began_us = lc_clock_us();
    char why[256];

    enum lc_tls_handshake result = lc_tls_conn_shake_hands(conn->wire.tls, why,
                                                           sizeof(why));
    server->handshake_us += lc_clock_us() - began_us;
    switch (result) {
    case LC_TLS_DONE: begin_requests(conn); break;
    case LC_TLS_WANTS_READ: await(conn, UV_READABLE); break;
    case LC_TLS_WANTS_WRITE: await(conn, UV_WRITABLE); break;
    case LC_TLS_PLAIN: answer_plainly(conn); break;
    case LC_TLS_FAILED: give_up(conn, why); break;
    case LC_TLS_GONE:
        lc_log(LC_DEBUG, "%s has left during the TLS handshake", conn->remote_addr);
        lc_conn_enter(conn, LC_CONN_CLOSED);
        break;
    }
}

void lc_handshake_go_on(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    if (server->handshake_us >= TURN_US)
        return; /* epoll says it again in the next turn */
    if (!lc_list_is_empty(&server->held))
        lc_reply_flush_all(server); /* finished answers do not wait for this */
    shake_hands(conn);
}

void lc_handshake_late(struct lc_conn *conn)
{
    char byte;

    /* What came while a slow call kept the loop was in time, and what it asks for takes time. */
    if (!conn->is_late && recv(conn->wire.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
        give_more_time(conn);
        shake_hands(conn);
        return;
    }
    lc_log(LC_DEBUG, "%s did not finish the TLS handshake in time: connection closed",
           conn->remote_addr);
    lc_conn_enter(conn, LC_CONN_CLOSED);
}

void lc_handshake_drain(struct lc_conn *conn)
{
    char byte;

    if (!lc_tls_conn_has_begun(conn->wire.tls) &&
        recv(conn->wire.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        lc_conn_await_last(conn);
}
