#include "worker/worker.h"

#include "app/access.h"
#include "app/controller.h"
#include "app/pipeline.h"
#include "base/credentials.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "base/stacks.h"
#include "config/config.h"
#include "config/hooks.h"
#include "config/script.h"
#include "worker/accept.h"
#include "worker/conn.h"
#include "worker/exchange.h"
#include "worker/lend.h"
#include "worker/orders.h"
#include "worker/orphan.h"
#include "worker/relief.h"
#include "worker/reply.h"
#include "worker/server.h"
#include "worker/signals.h"
#include "worker/sources.h"
#include "worker/tls.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    HEARTBEAT_MAX_MS = 1000,
    LAST_CALLS_MS = 200,  /* for threads to come back when the worker stops at once */
    LAST_LINES_MS = 3000, /* for the log to take what a leaving worker has to say */
};

/* --- boot ---------------------------------------------------------------------------------------- */

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
    lc_side_loop_init(server);
    for (int kind = 0; kind < LC_DEADLINE_COUNT; kind++)
        lc_list_init(&server->deadlines[kind]);
}

static int start_loop(struct lc_server *server, struct lc_error *err)
{
    int failed = uv_loop_init(&server->loop);

    if (failed != 0)
        return lc_error_set(err, LC_E_BOOT, "event loop: %s", uv_strerror(failed));
    server->has_loop = true;
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
    if (lc_pipeline_is_broken(server->pipeline))
        return 0; /* what it shows is made by the loop */
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
    lc_orders_watch_signals(server);
    uv_update_time(&server->loop);
    atomic_store(&slot->heartbeat_ms, uv_now(&server->loop));
    atomic_store(&slot->state, LC_SLOT_SERVING);
    lc_orders_hear(server);
    lc_server_start_turns(server);
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
    lc_server_tell_hook(server, LC_HOOK_WORKER_EXIT);
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
    lc_worker_signals_open();
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
