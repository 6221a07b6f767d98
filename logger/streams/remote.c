/* logger/streams/remote.c — one packet for each record, to a daemon on this machine or another.
 *
 * A daemon that is away is no error at the start: its records wait, as they do for a full disk.
 * UDP sockets are not connected, because one that is would report a daemon that is away with
 * every second packet. */
#include "logger/streams/streams.h"

#include "base/fd.h"
#include "base/mem.h"
#include "config/remote.h"
#include "logger/backlog.h"

#include <licorne/error.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct remote {
    struct lc_remote at;
    int fd; /* -1: not open */
    bool is_stream;
    struct sockaddr_storage to;
    socklen_t to_len;
};

/* --- opening ------------------------------------------------------------------------------ */

static int resolve(struct remote *remote)
{
    struct addrinfo hints = {
        /* A name stands for IPv4, as with Gunicorn and in `bind`; IPv6 is given as a literal. */
        .ai_family = strchr(remote->at.host, ':') != NULL ? AF_INET6 : AF_INET,
        .ai_socktype = remote->at.kind == LC_REMOTE_TCP ? SOCK_STREAM : SOCK_DGRAM,
        .ai_flags = AI_NUMERICSERV,
    };
    struct addrinfo *found;
    char port[8];

    snprintf(port, sizeof(port), "%u", remote->at.port);
    if (getaddrinfo(remote->at.host, port, &hints, &found) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    memcpy(&remote->to, found->ai_addr, found->ai_addrlen);
    remote->to_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static void name_path(struct remote *remote)
{
    struct sockaddr_un *to = (struct sockaddr_un *)&remote->to;

    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(to->sun_path, remote->at.path, sizeof(to->sun_path));
    remote->to_len = sizeof(*to);
}

/* A stream is connected; the backlog waits until it is. */
static int open_socket(struct remote *remote, bool is_stream)
{
    int type = (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;

    remote->fd = socket(remote->to.ss_family, type, 0);
    remote->is_stream = is_stream;
    if (remote->fd < 0 || !is_stream ||
        connect(remote->fd, (struct sockaddr *)&remote->to, remote->to_len) == 0)
        return remote->fd < 0 ? -1 : 0;
    if (errno == EINPROGRESS) {
        errno = EAGAIN;
        return -1;
    }
    lc_fd_close(&remote->fd);
    return -1;
}

static int reach(struct remote *remote)
{
    bool is_unix = remote->at.path[0] != '\0';

    if (remote->fd >= 0)
        return 0;
    if (is_unix)
        name_path(remote);
    else if (remote->to_len == 0 && resolve(remote) < 0)
        return -1;
    return open_socket(remote, remote->at.kind == LC_REMOTE_TCP);
}

static int parse(const char *target, struct lc_remote *at, struct lc_error *err)
{
    if (strncmp(target, "statsd:", 7) == 0)
        return lc_remote_parse_statsd(target + 7, at, err);
    return lc_remote_parse_syslog(target, at, err);
}

static void *remote_open(const char *target, struct lc_error *err)
{
    struct remote *remote = lc_new(struct remote);

    remote->fd = -1;
    if (parse(target, &remote->at, err) < 0) {
        free(remote);
        return NULL;
    }
    return remote;
}

/* --- sending ------------------------------------------------------------------------------ */

static ssize_t send_one(const struct remote *remote, struct lc_slice record)
{
    const struct sockaddr *to = remote->is_stream ? NULL
                                                  : (const struct sockaddr *)&remote->to;
    ssize_t n;

    do
        n = sendto(remote->fd, record.at, record.len, MSG_NOSIGNAL, to,
                   to == NULL ? 0 : remote->to_len);
    while (n < 0 && errno == EINTR);
    return n;
}

/* /dev/log may be a stream. */
static bool wants_stream(const struct remote *remote)
{
    return errno == EPROTOTYPE && remote->at.kind == LC_REMOTE_UNIX && !remote->is_stream;
}

static int give_up(struct remote *remote, struct lc_backlog *backlog)
{
    int reason = errno;

    if (reason == EAGAIN || reason == EWOULDBLOCK)
        return -1;
    lc_fd_close(&remote->fd);
    lc_backlog_restart_record(backlog);
    errno = reason == ENOTCONN ? ECONNREFUSED : reason;
    return -1;
}

static int remote_flush(void *state, struct lc_backlog *backlog)
{
    struct remote *remote = state;
    struct lc_slice record;

    if (lc_backlog_count(backlog) > 0 && reach(remote) < 0)
        return -1;
    while ((record = lc_backlog_oldest(backlog)).len > 0) {
        ssize_t n = send_one(remote, record);

        if (n < 0 && wants_stream(remote)) {
            lc_fd_close(&remote->fd);
            if (open_socket(remote, true) < 0)
                return -1;
            continue;
        }
        if (n < 0 && errno == EMSGSIZE) /* no later try would fare better */
            n = (ssize_t)record.len;
        if (n < 0)
            return give_up(remote, backlog);
        lc_backlog_written(backlog, (size_t)n);
    }
    return 0;
}

static int remote_descriptor(const void *state)
{
    return ((const struct remote *)state)->fd;
}

static void remote_close(void *state)
{
    struct remote *remote = state;

    lc_fd_close(&remote->fd);
    free(remote);
}

const struct lc_stream_ops lc_stream_remote = {
    .name = "remote",
    .open = remote_open,
    .flush = remote_flush,
    .descriptor = remote_descriptor,
    .close = remote_close,
};
