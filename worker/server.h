/* worker/server.h — what one worker process holds, shared by the files of this room.
 *
 * One loop, one pipeline, one read buffer and one buffer of held answers for all connections.
 * Everything here is used on the loop's thread only, or by the relief thread while it has
 * borrowed all of it (worker/relief.h), unless it says otherwise. */
#pragma once
#include "base/list.h"
#include "base/loan.h"
#include "config/hooks.h"
#include "worker/date.h"
#include "worker/dropped.h"
#include "worker/http1.h"
#include "worker/room.h"
#include "worker/rules.h"
#include "worker/share.h"
#include "worker/side_loop.h"

#include <licorne/slice.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct lc_access_log;
struct lc_config;
struct lc_conn;
struct lc_exchange;
struct lc_host_ops;
struct lc_inherit;
struct lc_lender;
struct lc_piece;
struct lc_pipeline;
struct lc_relief;
struct lc_tls;

/* Why a connection has a deadline. Each kind lasts the same for all connections, so a list in
 * order of arrival is in order of time too. Who is slow but not late yet (worker/pace.h) has a
 * deadline of its own; it stays where it is, and is looked at every second from then on. */
enum lc_deadline {
    LC_DEADLINE_HANDSHAKE, /* handshake_timeout: until both agree on TLS */
    LC_DEADLINE_HEAD,      /* header_timeout: until the head is complete  */
    LC_DEADLINE_BODY,      /* body_timeout: until the next piece          */
    LC_DEADLINE_WRITE,     /* write_timeout: until the client takes more  */
    LC_DEADLINE_LOOK,      /* either, of one that is slow: the next look  */
    LC_DEADLINE_IDLE,      /* keepalive: until the next request           */
    LC_DEADLINE_DRAIN,     /* a request may still be under way            */
    LC_DEADLINE_STAY,      /* the same, while others go on serving        */
    LC_DEADLINE_LAST,      /* draining: until the head is complete        */
    LC_DEADLINE_LINGER,    /* until the client sends more, or has closed  */
    LC_DEADLINE_COUNT
};

enum {
    LC_READ_SIZE = 64 * 1024,  /* most that one read takes                             */
    LC_TURN_SIZE = 64 * 1024,  /* held answers of one loop turn                        */
    LC_COPY_MAX = 16 * 1024,   /* bodies up to this size are copied behind their head  */
    LC_QUEUE_HIGH = 64 * 1024, /* unsent bytes from which a controller has to wait    */
    LC_HOLD_MAX_US = 500,   /* an answer is held no longer than this while calls go on */
    LC_LONG_CALL_US = 1000, /* others wait no longer behind a call without help */
};

struct lc_acceptor {
    uv_poll_t poll;
    struct lc_server *server;
    const struct lc_listener *listener;
    bool is_polling;
};

struct lc_server {
    uv_loop_t loop;
    bool has_loop;
    const struct lc_inherit *inherit;
    const struct lc_config *config;
    struct lc_pipeline *pipeline;
    struct lc_lender *lender;         /* to the application's threads; NULL: has none */
    struct lc_access_log *access_log; /* NULL: none */

    struct lc_acceptor *acceptors;
    unsigned acceptor_count;
    bool is_accepting; /* not draining, not full */

    uv_prepare_t before_sleep; /* the end of a loop turn */
    uv_timer_t tick;
    uv_poll_t channel;
    uv_poll_t log_room; /* the log socket is writable again */
    uv_signal_t signals[3];

    struct lc_tls *tls;    /* NULL: connections are not encrypted          */
    uint64_t handshake_us; /* spent on handshakes in this turn             */
    /* Connections that can be read although their sockets are quiet. */
    struct lc_list restless;
    uv_idle_t restless_turn; /* active while there are any */

    const struct lc_host_ops *host; /* how requests are answered */

    struct lc_share share;
    struct lc_room room;
    struct lc_side_loop side_loop;
    struct lc_relief *relief; /* NULL: nobody helps while a call keeps the loop */
    bool is_relieved;         /* the relief thread has what is here just now  */
    bool has_unfinished;    /* some body did not come at once, or some answer not leave */
    struct lc_piece *spent; /* sent by it; the application's to release     */
    _Atomic unsigned relay_count; /* connections that siblings have meanwhile     */
    struct lc_loan loan;          /* of all that is here, to the relief thread      */
    _Atomic bool is_awake;        /* a request was read in this turn                */

    struct lc_list conns; /* all of them */
    unsigned conn_count;
    struct lc_list unwatched; /* those that the relief thread has not met */
    uint64_t accepted;        /* connections, since the start */
    struct lc_list deadlines[LC_DEADLINE_COUNT];

    /* Answers held until the end of the turn, one behind another. */
    char *turn;
    size_t turn_used;
    uint64_t turn_first_us; /* when the first of them was held            */
    uint64_t now_us;        /* when the call in hand began                 */
    uint64_t kept_us; /* for how long slow calls have kept the loop, since the start */
    uint64_t turn_us; /* when the first request of this turn was read */
    unsigned slow_memory; /* above 0: calls are slow just now, hold nothing */
    struct lc_list held;  /* the connections that have answers there    */

    char *read_buffer;
    struct lc_exchange *free_exchanges; /* a pool, linked by their own memory */
    unsigned free_exchange_count;

    struct lc_rules rules;
    struct lc_dropped dropped;
    bool has_told_of_nonsense; /* in real_ip_header */
    uint64_t requests;
    uint32_t in_flight;       /* requests that the application has */
    uint64_t heartbeat_ms;    /* the longest sleep of the loop */
    uint64_t retire_at;       /* max_requests with jitter; 0: never */
    bool is_retiring;         /* the master knows; it starts a replacement */
    _Atomic bool is_draining; /* threads ask */
    bool is_stopping;         /* the loop ends with this turn */
    bool is_orphan;       /* a call that waits has seen that the master's end is closed */
    uint64_t leave_at_ms; /* with or without what is in flight; 0: the master says when */

    struct lc_date date;
};

/* The loop beats: deadlines pass, and each turn ends with what it held back. */
void lc_server_start_turns(struct lc_server *server);

/* Accepts nobody any more, finishes what it has, and ends. */
void lc_server_drain(struct lc_server *server);
/* It was told to, if only during the call in hand (orders.c). */
bool lc_server_is_leaving(const struct lc_server *server);
/* … at once, or there is no master any more: for a call that waits on the loop's thread. */
bool lc_server_must_stop(const struct lc_server *server);
/* Handlers of signals that the application, or a hook, has set run when their language has time. */
void lc_server_attend(struct lc_server *server);
void lc_server_stop_if_done(struct lc_server *server);
/* The loop ends with this turn, whatever is in flight. */
void lc_server_stop_at_once(struct lc_server *server);

/* What it raises is in the log; at the end of a life there is nobody else to tell. */
void lc_server_tell_hook(struct lc_server *server, enum lc_hook hook);

struct lc_slice lc_server_date(struct lc_server *server);
void lc_server_count_request(struct lc_server *server);

/* Around each call of the application: notes the time, and whether calls are slow just now. */
void lc_server_start_call(struct lc_server *server);
void lc_server_time_call(struct lc_server *server);

/* Whether a request could be begun at once. */
bool lc_server_has_room(const struct lc_server *server);

/* How long a kind of deadline lasts, in milliseconds; 0: for ever. */
uint64_t lc_server_patience(const struct lc_server *server, enum lc_deadline kind);
