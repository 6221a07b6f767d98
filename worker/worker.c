#include "worker/worker.h"

#include "app/access.h"
#include "app/controller.h"
#include "app/pipeline.h"
#include "base/clock.h"
#include "base/credentials.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "base/stacks.h"
#include "base/tickets.h"
#include "config/config.h"
#include "config/hooks.h"
#include "config/script.h"
#include "worker/accept.h"
#include "worker/conn.h"
#include "worker/exchange.h"
#include "worker/lend.h"
#include "worker/orphan.h"
#include "worker/relief.h"
#include "worker/reply.h"
#include "worker/server.h"
#include "worker/sources.h"
#include "worker/tls.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    HEARTBEAT_MAX_MS = 1000,
    DRAIN_TICK_MS = 50,
    STAY_MAX_MS = 2000,
    SLOW_CALL_US = 500,
    SLOW_MEMORY = 256,    /* quick calls after a slow one until answers are held again */
    LAST_CALLS_MS = 200,  /* for threads to come back when the worker stops at once */
    LAST_LINES_MS = 3000, /* for the log to take what a leaving worker has to say */
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

static void stop_at_once(struct lc_server *server)
{
    server->is_stopping = true;
    uv_stop(&server->loop);
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
        stop_at_once(server);
    lc_sources_tell(server);
    lc_accept_resume(server);
    lc_relief_start(server);
    lc_hooks_attend(server->config);
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
static void tell_hook(struct lc_server *server, enum lc_hook hook)
{
    const struct lc_hook_details details = {0};
    struct lc_error err = {0};

    lc_hook_call(server->config, hook, &details, &err);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct lc_server *server = handle->data;

    if (signum == SIGTERM) {
        lc_server_drain(server);
        return;
    }
    tell_hook(server, LC_HOOK_WORKER_INT);
    stop_at_once(server);
}

/* Certificates were renewed, or ticket keys: for those who connect from now on. */
static void on_credentials(struct lc_server *server, const struct lc_ticket_keys *tickets,
                           size_t len, int fd)
{
    struct lc_error err = {.code = LC_E_PROTOCOL, .text = "not well formed"};
    struct lc_credentials *fresh = NULL;

    if (server->tls != NULL && len == sizeof(*tickets) && fd >= 0)
        fresh = lc_credentials_import(fd, &err);
    if (fresh == NULL || lc_tls_renew(server->tls, fresh, tickets, &err) < 0)
        lc_log(LC_ERROR, "Renewed certificates cannot be used: %s", err.text);
    lc_credentials_destroy(fresh);
}

static void on_message(struct lc_server *server, const struct lc_msg_head *head,
                       void *payload, int fd)
{
    switch ((enum lc_msg_type)head->type) {
    case LC_MSG_CREDENTIALS:
        on_credentials(server, payload, head->length, fd);
        explicit_bzero(payload, head->length);
        break;
    case LC_MSG_LOST:
        if (head->length == sizeof(struct lc_msg_lost) && server->access_log != NULL)
            lc_access_log_write_lost(server->access_log, payload, lc_clock_us());
        break;
    case LC_MSG_TRACEBACK:
        ((char *)payload)[head->length] = '\0';
        lc_pipeline_show(server->pipeline, payload);
        break;
    case LC_MSG_READY:
    case LC_MSG_BOOT_FAILED:
    case LC_MSG_RETIRING:
    case LC_MSG_RECORDS:
    case LC_MSG_STREAMS:
    case LC_MSG_SOURCES:
    case LC_MSG_REOPEN:
    case LC_MSG_STOP:
    case LC_MSG_CONNECTION: break; /* not for a worker, or not here */
    }
}

static uint64_t time_without_master(const struct lc_config *config)
{
    uint64_t graceful = (uint64_t)config->graceful_timeout * 1000;

    return graceful < LC_ORPHAN_DRAIN_MS ? graceful : LC_ORPHAN_DRAIN_MS;
}

/* When the channel is closed, the master is gone. */
static void on_channel(uv_poll_t *poll, int status, int events)
{
    struct lc_server *server = LC_CONTAINER(poll, struct lc_server, channel);
    static _Alignas(8) char payload[LC_MSG_MAX + 1]; /* a text is ended there */
    struct lc_msg_head head;
    LC_AUTOCLOSE int fd = -1;

    if (lc_channel_receive_fd(server->inherit->channel, &head, payload, LC_MSG_MAX,
                              &fd) >= 0) {
        on_message(server, &head, payload, fd);
        return;
    }
    if (errno == EAGAIN || errno == EBADMSG)
        return;
    uv_poll_stop(poll);
    lc_log(LC_INFO, "Parent changed, shutting down: worker %d", (int)getpid());
    server->leave_at_ms = uv_now(&server->loop) + time_without_master(server->config);
    lc_server_drain(server);
}

/* --- boot -------------------------------------------------------------------------------------- */

static uint64_t retirement(const struct lc_config *config)
{
    uint32_t dice = 0;

    if (config->max_requests <= 0)
        return 0;
    if (config->max_requests_jitter > 0 &&
        getrandom(&dice, sizeof(dice), GRND_NONBLOCK) == sizeof(dice))
        dice %= (uint32_t)config->max_requests_jitter + 1;
    else
        dice = 0;
    return (uint64_t)config->max_requests + dice;
}

static void ignore(int signum)
{
    (void)signum;
}

/* Reopening logs is the logger's business. Not SIG_IGN: programs that the application starts
 * would inherit that. */
static void take_no_notice(int signum)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};

    sigaction(signum, &action, NULL);
}

/* libuv tells of a signal when the loop comes round. The answer that is being made meanwhile
 * should say already that the connection closes. */
static atomic_bool is_told_to_leave; /* threads ask too */
static atomic_bool is_told_to_stop;
static void (*tell_loop)(int);

static void on_told(int signum)
{
    is_told_to_leave = true;
    if (signum != SIGTERM)
        is_told_to_stop = true;
    tell_loop(signum);
}

static void notice_at_once(int signum)
{
    struct sigaction action;

    sigaction(signum, NULL, &action);
    tell_loop = action.sa_handler;
    action.sa_handler = on_told;
    sigaction(signum, &action, NULL);
}

bool lc_server_is_leaving(const struct lc_server *server)
{
    return server->is_draining || is_told_to_leave;
}

bool lc_server_must_stop(const struct lc_server *server)
{
    return is_told_to_stop || server->is_orphan;
}

static void watch_signals(struct lc_server *server)
{
    static const int watched[] = {SIGTERM, SIGINT, SIGQUIT};

    for (size_t i = 0; i < LC_COUNT(watched); i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, watched[i]);
        notice_at_once(watched[i]);
    }
    take_no_notice(SIGUSR1);
    take_no_notice(SIGWINCH);
}

/* Often enough for the master, which aborts a worker that is silent for `timeout`. */
static uint64_t heartbeat_every(const struct lc_config *config)
{
    uint64_t half = (uint64_t)config->timeout * 1000 / 2;

    return half == 0 || half > HEARTBEAT_MAX_MS ? HEARTBEAT_MAX_MS : half;
}

static void init(struct lc_server *server, const struct lc_inherit *inherit)
{
    *server = (struct lc_server){
        .inherit = inherit,
        .config = inherit->config,
        .host = &lc_reply_ops,
        .turn = lc_malloc(LC_TURN_SIZE),
        .read_buffer = lc_malloc(LC_READ_SIZE),
        .retire_at = retirement(inherit->config),
        .heartbeat_ms = heartbeat_every(inherit->config),
    };
    lc_rules_init(&server->rules, inherit->config);
    server->rules.dropped = &server->dropped;
    lc_list_init(&server->conns);
    lc_list_init(&server->held);
    lc_list_init(&server->restless);
    lc_list_init(&server->unwatched);
    lc_share_init(server);
    for (int kind = 0; kind < LC_DEADLINE_COUNT; kind++)
        lc_list_init(&server->deadlines[kind]);
}

static int start_loop(struct lc_server *server, struct lc_error *err)
{
    int failed = uv_loop_init(&server->loop);

    if (failed != 0)
        return lc_error_set(err, LC_E_BOOT, "event loop: %s", uv_strerror(failed));
    server->has_loop = true;
    watch_signals(server);
    uv_timer_init(&server->loop, &server->tick);
    lc_room_init(server);
    uv_prepare_init(&server->loop, &server->before_sleep);
    uv_idle_init(&server->loop, &server->restless_turn);
    uv_poll_init(&server->loop, &server->channel, server->inherit->channel);
    uv_poll_init(&server->loop, &server->log_room, lc_log_fd());
    return 0;
}

/* `reload`: an application that is being written is broken now and then. The master learns why, and
 * which files to watch; where nobody else serves, this worker shows it to whoever asks. */
static void show_why(struct lc_server *server, struct lc_error *err)
{
    const struct lc_inherit *inherit = server->inherit;
    const char *said = lc_controller_explanation();
    const char *why = *said != '\0' ? said : err->text;
    size_t len = strlen(why);
    struct lc_error other;

    struct lc_pipeline *broken = lc_pipeline_create_broken(server->config, why, &other);
    server->pipeline = broken;
    lc_sources_tell(server);
    if (len > LC_MSG_MAX / 2)
        len = LC_MSG_MAX / 2;
    lc_channel_send(inherit->channel, LC_MSG_TRACEBACK, inherit->generation, why, len);
    if (inherit->serves_errors)
        return;
    server->pipeline = NULL;
    lc_pipeline_destroy(broken);
}

static int load_application(struct lc_server *server, struct lc_error *err)
{
    server->access_log = lc_access_log_create(server->config, err);
    if (server->access_log == NULL && err->code != LC_E_NONE)
        return -1;
    server->pipeline = lc_pipeline_create(server->config, err);
    if (server->pipeline == NULL && server->config->reload)
        show_why(server, err);
    lc_sources_tell(server);
    return server->pipeline == NULL ? -1 : 0;
}

static int start_threads(struct lc_server *server, struct lc_error *err)
{
    if (!lc_config_is_threaded(server->config))
        return 0;
    if (!lc_pipeline_has_threads(server->pipeline)) {
        lc_log(LC_INFO,
               "The application is a native module, which needs no threads: it is "
               "called by the worker's one.");
        return 0;
    }
    server->lender = lc_lender_create(server, (unsigned)server->config->threads, err);
    return server->lender == NULL ? -1 : 0;
}

/* The keys are OpenSSL's from here on. */
static int open_tls(struct lc_server *server, struct lc_error *err)
{
    const struct lc_inherit *inherit = server->inherit;

    if (inherit->credentials == NULL)
        return 0;
    server->tls = lc_tls_create(server->config, inherit->credentials, inherit->tickets,
                                err);
    lc_credentials_wipe(inherit->credentials);
    return server->tls == NULL ? -1 : 0;
}

/* Everything is there but the first request. */
static int call_init_hook(struct lc_server *server, struct lc_error *err)
{
    const struct lc_hook_details details = {0};

    return lc_hook_call(server->config, LC_HOOK_POST_WORKER_INIT, &details, err);
}

static int exit_code_for(const struct lc_error *err)
{
    return err->code == LC_E_APP_LOAD ? LC_EXIT_APP_LOAD : LC_EXIT_BOOT;
}

static int serve(struct lc_server *server, struct lc_error *err)
{
    struct lc_slot *slot = server->inherit->slot;

    if (lc_accept_start(server, err) < 0)
        return -1;
    uv_update_time(&server->loop);
    atomic_store(&slot->heartbeat_ms, uv_now(&server->loop));
    atomic_store(&slot->state, LC_SLOT_SERVING);
    uv_poll_start(&server->channel, UV_READABLE, on_channel);
    uv_prepare_start(&server->before_sleep, before_sleep);
    on_tick(&server->tick);
    lc_channel_send(server->inherit->channel, LC_MSG_READY, server->inherit->generation,
                    NULL, 0);
    while (!server->is_stopping)
        uv_run(&server->loop, UV_RUN_DEFAULT);
    return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_loop(struct lc_server *server)
{
    uv_walk(&server->loop, close_handle, NULL);
    while (uv_loop_alive(&server->loop)) /* an earlier uv_stop may end the first run */
        uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
}

static void say_goodbye(void)
{
    lc_log(LC_INFO, "Worker exiting (pid: %d)", (int)getpid());
    lc_log_drain(LAST_LINES_MS);
}

/* A thread that is in the application cannot be taken out of it, and nothing that it uses can be
 * taken away while it runs. */
static void stop_threads(struct lc_server *server)
{
    if (server->lender == NULL || lc_lender_stop(server->lender, LAST_CALLS_MS))
        return;
    say_goodbye();
    _exit(0);
}

/* Every connection lets go of the application before the application goes. Accepts a server that
 * got only part of the way. */
static void tear_down(struct lc_server *server)
{
    server->is_stopping = true;
    lc_relief_stop(server);
    lc_reply_flush_all(server);
    LC_LIST_EACH_SAFE (at, &server->conns)
        lc_conn_abandon(LC_CONTAINER(at, struct lc_conn, all));
    tell_hook(server, LC_HOOK_WORKER_EXIT);
    stop_threads(server);
    if (server->pipeline != NULL)
        lc_pipeline_turn_end(server->pipeline);
    lc_pipeline_destroy(server->pipeline);
    lc_access_log_destroy(server->access_log);
    lc_tls_destroy(server->tls);
    if (server->has_loop)
        close_loop(server);
    lc_lender_destroy(server->lender);
    lc_exchange_free_all(server);
    lc_rules_deinit(&server->rules);
    lc_share_deinit(server);
    free(server->acceptors);
    free(server->turn);
    free(server->read_buffer);
}

/* Tells the master why, which decides what that means for the server. */
static int boot_failed(struct lc_server *server, const struct lc_error *err)
{
    const struct lc_inherit *inherit = server->inherit;
    struct lc_msg_boot_failed message = {.exit_code = exit_code_for(err)};

    snprintf(message.text, sizeof(message.text), "%.1000s", err->text);
    lc_log(LC_ERROR, "Worker failed to boot: %s", err->text);
    lc_channel_send(inherit->channel, LC_MSG_BOOT_FAILED, inherit->generation, &message,
                    sizeof(message));
    tear_down(server);
    lc_log_drain(LAST_LINES_MS);
    return message.exit_code;
}

int lc_worker_run(const struct lc_inherit *inherit)
{
    struct lc_server server;
    struct lc_error err = {.code = LC_E_NONE};

    lc_log_open(inherit->records, lc_script_log_level(inherit->config));
    lc_stacks_open(inherit->output);
    lc_log(LC_INFO, "Booting worker with pid: %d", (int)getpid());
    init(&server, inherit);
    if (lc_orphan_watch(inherit->channel, &err) < 0 || start_loop(&server, &err) < 0 ||
        open_tls(&server, &err) < 0 || load_application(&server, &err) < 0 ||
        call_init_hook(&server, &err) < 0 || start_threads(&server, &err) < 0 ||
        serve(&server, &err) < 0)
        return boot_failed(&server, &err);
    tear_down(&server);
    say_goodbye();
    return 0;
}

int lc_worker_check(const struct lc_config *config)
{
    struct lc_error err = {.code = LC_E_NONE};
    struct lc_access_log *access_log = lc_access_log_create(config, &err);
    struct lc_pipeline *pipeline = err.code == LC_E_NONE
                                       ? lc_pipeline_create(config, &err)
                                       : NULL;

    lc_access_log_destroy(access_log);
    if (pipeline == NULL) {
        fprintf(stderr, "\nError while loading the application:\n\n%s\n", err.text);
        return -1;
    }
    lc_pipeline_turn_end(pipeline);
    lc_pipeline_destroy(pipeline);
    return 0;
}
