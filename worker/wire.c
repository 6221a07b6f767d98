#include "worker/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void lc_wire_init(struct lc_wire *wire, int fd)
{
    wire->fd = fd;
}

void lc_wire_close(struct lc_wire *wire)
{
    close(wire->fd);
    wire->fd = -1;
}

ssize_t lc_wire_read(struct lc_wire *wire, void *into, size_t room)
{
    ssize_t n;

    do
        n = recv(wire->fd, into, room, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

bool lc_wire_is_readable(struct lc_wire *wire)
{
    char byte;

    return recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

ssize_t lc_wire_write(struct lc_wire *wire, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = (size_t)count};
    ssize_t n;

    do
        n = count == 1 ? send(wire->fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
                       : sendmsg(wire->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

void lc_wire_shutdown(struct lc_wire *wire)
{
    shutdown(wire->fd, SHUT_WR);
}
