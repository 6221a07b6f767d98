#include "worker/server.h"

#include "app/pipeline.h"
#include "base/clock.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "config/hooks.h"
#include "worker/accept.h"
#include "worker/conn.h"
#include "worker/deadline.h"
#include "worker/lend.h"
#include "worker/relief.h"
#include "worker/reply.h"
#include "worker/signals.h"
#include "worker/sources.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <stdatomic.h>

enum {
    DRAIN_TICK_MS = 50,
    STAY_MAX_MS = 2000,
    SLOW_CALL_US = 500,
    SLOW_MEMORY = 256, /* quick calls after a slow one until answers are held again */
};

/* --- small services for the rest of the room ---------------------------------------------- */

/* A client that comes back within this time, as long as it may, finds its connection open. */
static uint64_t stay_ms(const struct lc_config *config)
{
    uint64_t keepalive_ms = (uint64_t)config->keepalive * 1000;

    return keepalive_ms == 0 || keepalive_ms > STAY_MAX_MS ? STAY_MAX_MS : keepalive_ms;
}

uint64_t lc_server_patience(const struct lc_server *server, enum lc_deadline kind)
{
    const struct lc_config *config = server->config;

    switch (kind) {
    case LC_DEADLINE_HANDSHAKE: return (uint64_t)config->handshake_timeout * 1000;
    case LC_DEADLINE_HEAD: return (uint64_t)config->header_timeout * 1000;
    case LC_DEADLINE_BODY: return (uint64_t)config->body_timeout * 1000;
    case LC_DEADLINE_WRITE: return (uint64_t)config->write_timeout * 1000;
    case LC_DEADLINE_LOOK: return 1000;
    case LC_DEADLINE_IDLE: return (uint64_t)config->keepalive * 1000;
    case LC_DEADLINE_DRAIN: return 500;
    case LC_DEADLINE_STAY: return stay_ms(config);
    case LC_DEADLINE_LAST: return 1000;
    case LC_DEADLINE_LINGER: return 2000;
    case LC_DEADLINE_COUNT: break;
    }
    return 0;
}

struct lc_slice lc_server_date(struct lc_server *server)
{
    return lc_date_line(&server->date, uv_now(&server->loop));
}

bool lc_server_has_room(const struct lc_server *server)
{
    return server->lender == NULL || lc_lender_room(server->lender) > 0;
}

void lc_server_start_call(struct lc_server *server)
{
    server->now_us = lc_clock_us();
    if (atomic_load_explicit(&server->is_awake, memory_order_relaxed))
        return;
    server->turn_us = server->now_us;
    atomic_store_explicit(&server->is_awake, true, memory_order_relaxed);
}

void lc_server_time_call(struct lc_server *server)
{
    uint64_t now_us = lc_clock_us();

    if (now_us - server->now_us > SLOW_CALL_US) {
        server->slow_memory = SLOW_MEMORY;
        server->kept_us += now_us - server->now_us;
        server->share.is_due = true;
        uv_update_time(&server->loop); /* deadlines begin now, not before the call */
    } else if (server->slow_memory > 0) {
        server->slow_memory--;
    }
    server->now_us = now_us;
}

void lc_server_count_request(struct lc_server *server)
{
    struct lc_slot *slot = server->inherit->slot;

    server->requests++;
    atomic_store_explicit(&slot->requests, server->requests, memory_order_relaxed);
    if (server->retire_at == 0 || server->requests < server->retire_at ||
        server->is_retiring || server->is_draining)
        return;
    server->is_retiring = true;
    lc_log(LC_INFO, "Autorestarting worker after current request.");
    lc_channel_send(server->inherit->channel, LC_MSG_RETIRING,
                    server->inherit->generation, NULL, 0);
}

/* --- a turn of the loop --------------------------------------------------------------------- */

static void on_log_room(uv_poll_t *poll, int status, int events)
{
    if (lc_log_flush() || status < 0)
        uv_poll_stop(poll);
}

static void send_log(struct lc_server *server)
{
    if (!lc_log_flush() && !uv_is_active((uv_handle_t *)&server->log_room))
        uv_poll_start(&server->log_room, UV_WRITABLE, on_log_room);
}

static void before_sleep(uv_prepare_t *prepare)
{
    struct lc_server *server = LC_CONTAINER(prepare, struct lc_server, before_sleep);
    struct lc_slot *slot = server->inherit->slot;

    if (server->lender != NULL)
        lc_lender_before_sleep(server->lender);
    lc_reply_flush_all(server);
    lc_pipeline_turn_end(server->pipeline);
    server->handshake_us = 0;
    send_log(server);
    atomic_store_explicit(&server->is_awake, false, memory_order_relaxed);
    atomic_store_explicit(&slot->heartbeat_ms, uv_now(&server->loop),
                          memory_order_relaxed);
    atomic_store_explicit(&slot->connections, server->conn_count, memory_order_relaxed);
    atomic_store_explicit(&slot->accepted, server->accepted, memory_order_relaxed);
    atomic_store_explicit(&slot->in_flight, server->in_flight, memory_order_relaxed);
}

static void expire(struct lc_server *server, uint64_t now)
{
    for (int kind = 0; kind < LC_DEADLINE_COUNT; kind++) {
        struct lc_list *list = &server->deadlines[kind];
        struct lc_conn *conn;

        while ((conn = LC_LIST_FIRST(list, struct lc_conn, due)) != NULL &&
               conn->due_ms <= now)
            lc_conn_expire(conn, (enum lc_deadline)kind);
    }
}

static uint64_t until_next_deadline(struct lc_server *server, uint64_t now)
{
    uint64_t next = server->is_draining ? DRAIN_TICK_MS : server->heartbeat_ms;

    for (int kind = 0; kind < LC_DEADLINE_COUNT; kind++) {
        struct lc_conn *conn = LC_LIST_FIRST(&server->deadlines[kind], struct lc_conn,
                                             due);
        uint64_t due = conn == NULL ? UINT64_MAX : conn->due_ms;

        if (due < now + next)
            next = due <= now ? 1 : due - now;
    }
    return next;
}

void lc_server_stop_at_once(struct lc_server *server)
{
    server->is_stopping = true;
    uv_stop(&server->loop);
}

void lc_server_attend(struct lc_server *server)
{
    if (lc_pipeline_attend(server->pipeline))
        lc_server_drain(server);
    lc_hooks_attend(server->config);
}

/* The last of the leaving workers has what the others passed on, as soon as it can: each may wait a
 * moment for its client. */
static void inherit_all(struct lc_server *server)
{
    while (server->is_draining && !server->is_stopping && lc_share_inherit(server))
        continue;
}

/* The others leave as well: nobody waits for them any more. */
static void hurry(struct lc_server *server)
{
    struct lc_conn *conn;

    while ((conn = LC_LIST_FIRST(&server->deadlines[LC_DEADLINE_STAY], struct lc_conn,
                                 due)) != NULL)
        lc_conn_deadline(conn, LC_DEADLINE_DRAIN);
}

/* No kind of deadline is shorter than a second but that of a drain; so one timer that beats at
 * least every second, and oftener in a drain, is never late. */
static void on_tick(uv_timer_t *timer)
{
    struct lc_server *server = LC_CONTAINER(timer, struct lc_server, tick);
    uint64_t now = uv_now(&server->loop);

    inherit_all(server);
    if (server->is_draining && !lc_share_goes_on(server))
        hurry(server);
    expire(server, now);
    if (server->leave_at_ms != 0 && now >= server->leave_at_ms)
        lc_server_stop_at_once(server);
    lc_sources_tell(server);
    lc_accept_resume(server);
    lc_relief_start(server);
    lc_worker_signals_keep();
    lc_server_attend(server);
    uv_timer_start(timer, on_tick, until_next_deadline(server, now), 0);
}

/* --- stopping --------------------------------------------------------------------------------- */

void lc_server_stop_if_done(struct lc_server *server)
{
    if (!server->is_draining || server->is_stopping || server->conn_count != 0)
        return;
    inherit_all(server);
    if (server->conn_count != 0 || server->is_stopping)
        return;
    server->is_stopping = true;
    uv_stop(&server->loop);
}

/* Draining one connection may call the application, and then any other may be passed on. */
static void drain_connections(struct lc_server *server)
{
    struct lc_list rest;
    struct lc_conn *conn;

    lc_list_init(&rest);
    while ((conn = LC_LIST_FIRST(&server->conns, struct lc_conn, all)) != NULL) {
        lc_list_remove(&conn->all);
        lc_list_append(&rest, &conn->all);
    }
    while ((conn = LC_LIST_FIRST(&rest, struct lc_conn, all)) != NULL) {
        lc_list_remove(&conn->all);
        lc_list_append(&server->conns, &conn->all);
        lc_conn_drain(conn);
    }
}

void lc_server_drain(struct lc_server *server)
{
    if (server->is_draining)
        return;
    lc_accept_stop(server);
    server->is_draining = true;
    atomic_store(&server->inherit->slot->state, LC_SLOT_DRAINING);
    drain_connections(server);
    uv_timer_start(&server->tick, on_tick, 1, 0);
    lc_server_stop_if_done(server);
}

/* What a hook raises is in the log; at the end of a life there is nobody else to tell. */
void lc_server_tell_hook(struct lc_server *server, enum lc_hook hook)
{
    const struct lc_hook_details details = {0};
    struct lc_error err = {0};

    lc_hook_call(server->config, hook, &details, &err);
}

/* --- beginning ---------------------------------------------------------------------------------- */

void lc_server_start_turns(struct lc_server *server)
{
    uv_prepare_start(&server->before_sleep, before_sleep);
    on_tick(&server->tick);
}
