/* worker/tls_conn.h — one encrypted connection: handshake, bytes in and out, farewell.
 *
 * OpenSSL reads and writes the socket itself, through a BIO of ours that never blocks and never
 * raises SIGPIPE, whatever an application did to the socket or the signal. It holds back bytes
 * that came: a quiet socket may have more to read (lc_tls_conn_has_more). One thread may read and
 * another one write: a lock lets one after the other. */
#pragma once
#include <licorne/tls.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct lc_tls;
struct lc_tls_conn;

enum lc_tls_handshake {
    LC_TLS_DONE,
    LC_TLS_WANTS_READ,
    LC_TLS_WANTS_WRITE,
    LC_TLS_GONE,   /* the client has left                      */
    LC_TLS_PLAIN,  /* the client speaks HTTP without TLS       */
    LC_TLS_FAILED, /* no agreement; the client has been told   */
};

/* NULL: no memory. The socket stays the caller's. */
struct lc_tls_conn *lc_tls_conn_create(const struct lc_tls *tls, int fd);
void lc_tls_conn_destroy(struct lc_tls_conn *conn); /* NULL is fine */

/* As far as it goes now. FAILED: `why` says what was wrong. */
enum lc_tls_handshake lc_tls_conn_shake_hands(struct lc_tls_conn *conn, char *why,
                                              size_t room);
/* Whether the client has begun to speak. */
bool lc_tls_conn_has_begun(const struct lc_tls_conn *conn);
/* Once it is DONE. */
const struct lc_tls_info *lc_tls_conn_info(const struct lc_tls_conn *conn);

/* As lc_wire_read and lc_wire_write. */
ssize_t lc_tls_conn_read(struct lc_tls_conn *conn, void *into, size_t room);
ssize_t lc_tls_conn_write(struct lc_tls_conn *conn, const struct iovec *parts, int count);

/* Bytes, or the end of them, can be read although the socket may be quiet. */
bool lc_tls_conn_has_more(const struct lc_tls_conn *conn);
/* Looks whether a read would bring bytes now. */
bool lc_tls_conn_peek(struct lc_tls_conn *conn);

/* Tells the client that nothing was cut off (close_notify). */
void lc_tls_conn_say_goodbye(struct lc_tls_conn *conn);
