/* worker/conn.h — one client connection: reads requests, has them handled, sends the answers, in
 * order, until either side has had enough.
 *
 * An idle connection is this structure and nothing else, and one whose client has sent a part of
 * a usual head only its bytes besides; what a request needs (struct lc_exchange) is lent to it from
 * then to its end. */
#pragma once
#include "app/request.h"
#include "base/list.h"
#include "worker/body.h"
#include "worker/http1.h"
#include "worker/lend.h"
#include "worker/pace.h"
#include "worker/pull.h"
#include "worker/proxy.h"
#include "worker/server.h"
#include "worker/wire.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

enum lc_conn_state {
    LC_CONN_HANDSHAKING, /* the TLS handshake                                 */
    LC_CONN_IDLE,        /* no byte of a request has come                     */
    LC_CONN_READING,     /* a head has begun; its bytes are pending           */
    LC_CONN_RECEIVING,   /* the head is complete, the body is not             */
    LC_CONN_WAITING,     /* all is here that the application needs to begin   */
    LC_CONN_HANDLING,    /* the application has it                            */
    LC_CONN_REPLYING,    /* the answer is complete but has not all left       */
    LC_CONN_RELAYED,     /* a sibling has it; its bytes go through this worker */
    LC_CONN_LINGERING,   /* all has left; waits for the client to close too   */
    LC_CONN_CLOSED,
};

/* Bytes that the socket did not take at once. */
struct lc_piece {
    struct lc_piece *next;
    const char *at; /* NULL: `len` bytes of a file   */
    size_t len;
    int file; /* this structure's own, or -1   */
    off_t offset;
    void (*release)(void *owner); /* NULL: the bytes are behind this structure */
    void *owner;
    char bytes[];
};

struct lc_conn {
    uv_poll_t poll;
    struct lc_server *server;
    struct lc_exchange *exchange; /* NULL while idle, or with a short piece of a head */
    struct lc_wire wire;
    enum lc_conn_state state;
    int events; /* UV_READABLE | UV_WRITABLE as they are watched */

    bool is_gone; /* nothing can be sent any more          */
    bool has_eof; /* the client sends nothing more         */
    bool is_trusted;
    bool is_late;      /* the handshake was given more time already            */
    bool is_greeted;   /* whether it begins with a PROXY header has been seen */
    bool may_announce; /* … which its peer may send                           */
    bool is_lent;      /* HANDLING: a thread has the exchange                 */
    bool is_put_off;   /* HANDLING: the application, busy, is to go on with it */
    bool is_passed;    /* to a sibling, which has it now                      */
    bool is_watched;   /* by the relief thread                                */
    bool is_ripe;      /* … which has seen that its next request has come     */
    bool has_asked;    /* the application has seen a request of it            */
    bool has_waited;   /* unread, before a sibling passed it here             */
    bool closes;       /* after what is being sent                            */
    bool lingers;      /* … because more bytes may be coming                  */
    bool is_last;      /* so does, after an answer, the origin of a relayed one */

    struct lc_list all;  /* in server->conns */
    struct lc_list due;  /* in one of server->deadlines */
    struct lc_list more; /* in server->restless while it can be read without its socket */
    struct lc_list held; /* in server->held while it has answers in server->turn */
    struct lc_list unwatched; /* in server->unwatched, until is_watched */
    struct lc_list waiting;   /* in server->room.waiting or server->side_loop.ripe */
    uint64_t due_ms;
    struct lc_pace pace; /* RECEIVING: of the body; with a queue: of what leaves it */
    uint64_t paced;      /* bytes of the body that it has seen                      */
    uint64_t kept_us;    /* server->kept_us at the time                             */
    uint64_t emptied_us; /* the queue was, within an answer; 0: it has had none     */
    uint64_t active_ms;  /* when it last became idle, or lingering */
    uint64_t began_us;   /* the first byte of a head that is not complete was read */
    size_t held_at, held_len;
    struct lc_piece *queue, **queue_end;
    size_t queued; /* bytes in the queue */

    char *pending; /* bytes read and not used yet */
    size_t pending_len, pending_room;
    size_t parked; /* bytes of a head when its exchange was given back last */

    struct lc_keep keep;
    struct lc_proxy *announced; /* by the PROXY protocol, or NULL */
    struct lc_relay *relay;     /* RELAYED: the way to the sibling */
    struct lc_tls_info *told;   /* of a relayed one, by its origin; or NULL */
    struct lc_endpoints endpoints;
    char remote_addr[INET6_ADDRSTRLEN];
    char remote_port[sizeof("65535")];
};

/* A request on its way: lent from the server's pool. */
struct lc_exchange {
    struct lc_request request; /* first: the reply finds its exchange from it */
    struct lc_conn *conn;
    struct lc_slice head; /* the bytes that the request's slices point into */
    char *kept; /* the buffer they lie in, when the answer comes later; or NULL */
    struct lc_http1 http1;
    struct lc_fault fault;
    struct lc_gather body;
    struct lc_pull pull;
    bool is_received;  /* a sibling has received the whole body */
    bool is_stuck;     /* it cannot go to one: no file took the body */
    bool is_calling;   /* the pipeline is on the stack */
    bool is_broken;    /* the response could not be finished */
    bool is_counted;   /* the application saw it */
    uint64_t ended_us; /* when the last of the answer left, if that is known; else 0 */
    struct lc_lent lent;
    struct lc_exchange *next_free;
    _Alignas(16) char first_block[4096];
};

/* Takes over an accepted, non-blocking socket; NULL if it cannot be served. `tls` is NULL when it is
 * not to be encrypted. */
struct lc_conn *lc_conn_open(struct lc_server *server, int fd,
                             const struct lc_listener *listener,
                             const struct sockaddr_storage *peer,
                             const struct lc_tls *tls);

/* Its deadline has passed. */
void lc_conn_expire(struct lc_conn *conn, enum lc_deadline kind);

/* The worker stops: an idle connection goes as soon as no request can be under way on it. */
void lc_conn_drain(struct lc_conn *conn);

/* At once, whatever it is doing. */
void lc_conn_abandon(struct lc_conn *conn);

/* The one place where its state changes; what a state needs starts there. */
void lc_conn_enter(struct lc_conn *conn, enum lc_conn_state next);

/* reply.c tells: the response that was ended outside of a call, and that a queue is empty. */
void lc_conn_on_ended(struct lc_conn *conn);

/* A thread has given the request back, answered or not. */
void lc_conn_on_returned(struct lc_conn *conn);

/* Bytes are there from the beginning: no need to wait until epoll says so. */
void lc_conn_begin(struct lc_conn *conn);

/* Its socket is ready, for UV_READABLE | UV_WRITABLE. */
void lc_conn_on_ready(struct lc_conn *conn, int events);

/* It is one of server->restless no more, and has its turn. */
void lc_conn_take_turn(struct lc_conn *conn);

/* Only the loop's thread can go on with it: the application is needed. */
bool lc_conn_needs_loop(const struct lc_conn *conn);

/* Reads what has come. */
void lc_conn_read(struct lc_conn *conn);

/* What epoll watches for. */
void lc_conn_watch(struct lc_conn *conn, int events);

/* Epoll tells of bytes in the socket only: the next turn sees to those that were decrypted, if
 * there are any; or to the connection anyway. */
void lc_conn_mind_more(struct lc_conn *conn);
void lc_conn_wants_turn(struct lc_conn *conn);
