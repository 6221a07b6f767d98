/* worker/wire.h — the bytes of a connection on their way through its socket, encrypted or not.
 *
 * Never blocks, even if an application made the socket a blocking one. One thread may read and
 * another one write. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct lc_tls_conn;

struct lc_wire {
    int fd;
    bool uses_sendfile;      /* files go from the kernel's cache to the socket */
    bool is_relayed;         /* another worker encrypts (worker/relay.h) */
    struct lc_tls_conn *tls; /* NULL: not encrypted, or not here         */
};

/* Takes over an accepted socket. */
void lc_wire_init(struct lc_wire *wire, int fd);
void lc_wire_close(struct lc_wire *wire);

/* What goes through the socket from now on is not encrypted. */
void lc_wire_drop_tls(struct lc_wire *wire);

/* How many bytes came; 0: the other side sends no more; -1 with errno, EAGAIN when none wait. */
ssize_t lc_wire_read(struct lc_wire *wire, void *into, size_t room);

/* Whether a read would bring bytes now. */
bool lc_wire_is_readable(struct lc_wire *wire);

/* Bytes are here already and can be read, although the socket may be quiet. Who waits for a
 * readable socket asks this first. */
bool lc_wire_has_more(const struct lc_wire *wire);

/* How many bytes the socket took, 0 when it is full; -1 with errno when it has failed. Never
 * raises SIGPIPE. */
ssize_t lc_wire_write(struct lc_wire *wire, const struct iovec *parts, int count);

/* The same, when more follows at once: the last packet may wait for it. */
ssize_t lc_wire_write_more(struct lc_wire *wire, const struct iovec *parts, int count);

/* Bytes of a regular file from `*offset` on, which moves along; the file's own position does not.
 * Returns as lc_wire_write does; -1 with ENODATA when the file ends here. */
ssize_t lc_wire_send_file(struct lc_wire *wire, int file, off_t *offset, size_t count);

/* Nothing goes through any more; to be closed later. */
void lc_wire_cut(struct lc_wire *wire);

/* Tells the other side that what it got is all, if the wire has a way to: without it, who reads
 * to the end cannot know that nothing was cut off. */
void lc_wire_say_goodbye(struct lc_wire *wire);

/* The same, and closes this direction. */
void lc_wire_shutdown(struct lc_wire *wire);
