/* worker/wire.h — the bytes of a connection on their way through its socket. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct lc_wire {
    int fd; /* non-blocking */
};

/* Takes over an accepted socket. */
void lc_wire_init(struct lc_wire *wire, int fd);
void lc_wire_close(struct lc_wire *wire);

/* How many bytes came; 0: the other side sends no more; -1 with errno, EAGAIN when none wait. */
ssize_t lc_wire_read(struct lc_wire *wire, void *into, size_t room);

/* Whether a read would bring bytes now. */
bool lc_wire_is_readable(struct lc_wire *wire);

/* How many bytes the socket took, 0 when it is full; -1 with errno when it has failed. Never
 * raises SIGPIPE. */
ssize_t lc_wire_write(struct lc_wire *wire, const struct iovec *parts, int count);

/* Tells the other side that no more bytes come. */
void lc_wire_shutdown(struct lc_wire *wire);
