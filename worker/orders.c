#include "worker/orders.h"

#include "app/access.h"
#include "app/pipeline.h"
#include "base/clock.h"
#include "base/credentials.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "base/tickets.h"
#include "config/config.h"
#include "config/hooks.h"
#include "worker/orphan.h"
#include "worker/server.h"
#include "worker/signals.h"
#include "worker/tls.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* --- signals ------------------------------------------------------------------------------------ */

static void obey(struct lc_server *server, int signum)
{
    lc_server_attend(server);
    if (signum == SIGTERM) {
        lc_server_drain(server);
        return;
    }
    lc_server_tell_hook(server, LC_HOOK_WORKER_INT);
    lc_server_stop_at_once(server);
}

bool lc_server_is_leaving(const struct lc_server *server)
{
    return server->is_draining || lc_worker_signals_told_to_leave();
}

bool lc_server_must_stop(const struct lc_server *server)
{
    return lc_worker_signals_told_to_stop() || server->is_orphan;
}

void lc_orders_watch_signals(struct lc_server *server)
{
    lc_worker_signals_watch(server, obey);
}

/* --- messages ----------------------------------------------------------------------------------- */

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
    case LC_MSG_REOPEN: lc_pipeline_reopen_files(server->pipeline); break;
    case LC_MSG_READY:
    case LC_MSG_BOOT_FAILED:
    case LC_MSG_RETIRING:
    case LC_MSG_RECORDS:
    case LC_MSG_STREAMS:
    case LC_MSG_SOURCES:
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

void lc_orders_hear(struct lc_server *server)
{
    uv_poll_start(&server->channel, UV_READABLE, on_channel);
}
