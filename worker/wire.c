#include "worker/wire.h"

#include "worker/tls_conn.h"
#include "worker/word.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COPY_SIZE = 32 * 1024 };

void lc_wire_init(struct lc_wire *wire, int fd)
{
    wire->fd = fd;
    wire->tls = NULL;
    wire->is_relayed = false;
}

void lc_wire_drop_tls(struct lc_wire *wire)
{
    lc_tls_conn_destroy(wire->tls);
    wire->tls = NULL;
}

void lc_wire_close(struct lc_wire *wire)
{
    lc_wire_drop_tls(wire);
    close(wire->fd);
    wire->fd = -1;
}

ssize_t lc_wire_read(struct lc_wire *wire, void *into, size_t room)
{
    ssize_t n;

    if (wire->tls != NULL)
        return lc_tls_conn_read(wire->tls, into, room);
    do
        n = recv(wire->fd, into, room, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

bool lc_wire_is_readable(struct lc_wire *wire)
{
    char byte;

    if (wire->tls != NULL)
        return lc_tls_conn_peek(wire->tls);
    return recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool lc_wire_has_more(const struct lc_wire *wire)
{
    return wire->tls != NULL && lc_tls_conn_has_more(wire->tls);
}

/* A full socket is no error. */
static ssize_t taken(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

static ssize_t write_parts(const struct lc_wire *wire, const struct iovec *parts,
                           int count, int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = (size_t)count};
    ssize_t n;

    if (wire->tls != NULL)
        return lc_tls_conn_write(wire->tls, parts, count);
    flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
    do
        n = count == 1 ? send(wire->fd, parts->iov_base, parts->iov_len, flags)
                       : sendmsg(wire->fd, &message, flags);
    while (n < 0 && errno == EINTR);
    return taken(n);
}

ssize_t lc_wire_write(struct lc_wire *wire, const struct iovec *parts, int count)
{
    return write_parts(wire, parts, count, 0);
}

ssize_t lc_wire_write_more(struct lc_wire *wire, const struct iovec *parts, int count)
{
    return write_parts(wire, parts, count, MSG_MORE);
}

/* Any file system can be read, so this works for all. */
static ssize_t copy_file(struct lc_wire *wire, int file, off_t *offset, size_t count)
{
    char block[COPY_SIZE];
    ssize_t n;

    do
        n = pread(file, block, count < sizeof(block) ? count : sizeof(block), *offset);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        struct iovec part = {block, (size_t)n};

        n = lc_wire_write(wire, &part, 1);
    } else if (n == 0) {
        errno = ENODATA;
        n = -1;
    }
    if (n > 0)
        *offset += n;
    return n;
}

ssize_t lc_wire_send_file(struct lc_wire *wire, int file, off_t *offset, size_t count)
{
    ssize_t n;

    if (!wire->uses_sendfile || wire->tls != NULL)
        return copy_file(wire, file, offset, count);
    do
        n = sendfile(wire->fd, file, offset, count);
    while (n < 0 && errno == EINTR);
    /* Not every file system, and not every kind of socket, lets it. */
    if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
        return copy_file(wire, file, offset, count);
    if (n == 0) {
        errno = ENODATA;
        return -1;
    }
    return taken(n);
}

void lc_wire_cut(struct lc_wire *wire)
{
    shutdown(wire->fd, SHUT_RDWR);
}

void lc_wire_say_goodbye(struct lc_wire *wire)
{
    if (wire->tls != NULL)
        lc_tls_conn_say_goodbye(wire->tls);
    else if (wire->is_relayed)
        lc_word_send(wire->fd, LC_WORD_GOODBYE);
}

void lc_wire_shutdown(struct lc_wire *wire)
{
    lc_wire_say_goodbye(wire);
    shutdown(wire->fd, SHUT_WR);
}
