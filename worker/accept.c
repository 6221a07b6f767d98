#include "worker/accept.h"

#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/room.h"
#include "worker/server.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections taken at one wake-up: few, so that the siblings get their share. */
enum { ACCEPTS_PER_WAKE = 4 };

bool lc_accept_is_full(const struct lc_server *server)
{
    int64_t most = server->config->worker_connections;

    return server->conn_count >= (most < 1 ? 1 : most);
}

void lc_accept_pause(struct lc_server *server)
{
    lc_share_pause(server);
    for (unsigned i = 0; i < server->acceptor_count; i++)
        uv_poll_stop(&server->acceptors[i].poll);
    server->is_accepting = false;
}

/* Without descriptors or memory the connection stays in the kernel's queue; trying again at once
 * would only burn the processor. */
void lc_accept_failed(struct lc_server *server)
{
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        lc_log(LC_ERROR, "accept: %s; new connections wait (%u are open; see ulimit -n)",
               strerror(errno), server->conn_count);
        lc_accept_pause(server);
        break;
    default: break; /* taken by a sibling, or gone already */
    }
}

static bool accept_one(struct lc_acceptor *acceptor)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(peer);

    int fd = accept4(acceptor->listener->fd, (struct sockaddr *)&peer, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        lc_accept_failed(acceptor->server);
        return false;
    }
    acceptor->server->accepted++;
    lc_conn_open(acceptor->server, fd, acceptor->listener, &peer, acceptor->server->tls);
    return true;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct lc_acceptor *acceptor = LC_CONTAINER(poll, struct lc_acceptor, poll);
    struct lc_server *server = acceptor->server;

    for (int i = 0; i < ACCEPTS_PER_WAKE && server->is_accepting; i++) {
        if (lc_accept_is_full(server)) {
            lc_accept_pause(server);
            return;
        }
        if (lc_room_declines(server))
            return;
        if (!accept_one(acceptor))
            return;
    }
}

void lc_accept_some(struct lc_server *server)
{
    for (unsigned i = 0; i < server->acceptor_count; i++)
        for (int n = 0; n < ACCEPTS_PER_WAKE && server->is_accepting; n++)
            if (lc_accept_is_full(server) || !accept_one(&server->acceptors[i]))
                break;
}

void lc_accept_resume(struct lc_server *server)
{
    if (server->is_accepting || server->is_draining || server->is_stopping ||
        lc_accept_is_full(server))
        return;
    for (unsigned i = 0; i < server->acceptor_count; i++)
        uv_poll_start(&server->acceptors[i].poll, UV_READABLE, on_connection);
    lc_share_resume(server);
    server->is_accepting = true;
}

int lc_accept_start(struct lc_server *server, struct lc_error *err)
{
    const struct lc_inherit *inherit = server->inherit;

    if (lc_share_start(server, err) < 0)
        return -1;
    server->acceptors = lc_calloc(inherit->listener_count, sizeof(*server->acceptors));
    for (unsigned i = 0; i < inherit->listener_count; i++) {
        struct lc_acceptor *acceptor = &server->acceptors[i];

        acceptor->server = server;
        acceptor->listener = &inherit->listeners[i];
        int failed = uv_poll_init(&server->loop, &acceptor->poll, acceptor->listener->fd);
        if (failed != 0)
            return lc_error_set(err, LC_E_BOOT, "bind = %s: cannot be polled: %s",
                                acceptor->listener->spec, uv_strerror(failed));
        server->acceptor_count++;
    }
    lc_accept_resume(server);
    return 0;
}

void lc_accept_stop(struct lc_server *server)
{
    lc_room_accept_all(server);
    for (unsigned i = 0; i < server->acceptor_count; i++) {
        struct lc_acceptor *acceptor = &server->acceptors[i];

        while (server->is_accepting && !lc_accept_is_full(server))
            if (!accept_one(acceptor))
                break;
    }
    if (server->is_accepting)
        lc_accept_pause(server);
    /* Open sockets would go on letting connections in, to nobody. */
    for (unsigned i = 0; i < server->acceptor_count; i++) {
        uv_close((uv_handle_t *)&server->acceptors[i].poll, NULL);
        close(server->acceptors[i].listener->fd);
    }
    server->acceptor_count = 0;
}
