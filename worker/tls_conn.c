#include "worker/tls_conn.h"

#include "base/mem.h"
#include "worker/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { RECORD_MAX = 16 * 1024 }; /* RFC 8446, 5.1 */

struct lc_tls_conn {
    pthread_mutex_t lock; /* reading and writing share most of OpenSSL's state */
    SSL *ssl;
    int fd;
    bool may_receive; /* the socket was not empty when last looked at */
    bool has_fin;     /* it has ended                                 */
    bool has_begun;
    bool is_open; /* agreed on, goodbye not said */
    bool has_more;
    unsigned char first; /* byte of all */
    struct lc_tls_info info;
};

/* --- the socket as OpenSSL sees it ---------------------------------------------------------- */

/* A short read tells that the socket is empty: asking again would only cost a call. Epoll tells
 * when there is more. */
static int bio_read(BIO *bio, char *into, int room)
{
    struct lc_tls_conn *conn = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (!conn->may_receive) {
        BIO_set_retry_read(bio);
        return -1;
    }
    do
        n = recv(conn->fd, into, (size_t)room, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    conn->may_receive = n == room;
    if (n > 0 && !conn->has_begun) {
        conn->has_begun = true;
        conn->first = (unsigned char)into[0];
    }
    if (n == 0)
        conn->has_fin = true;
    else if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    const struct lc_tls_conn *conn = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do
        n = send(conn->fd, from, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct lc_tls_conn *conn = BIO_get_data(bio);

    switch (command) {
    case BIO_CTRL_FLUSH: return 1; /* nothing is held back */
    case BIO_CTRL_EOF: return conn->has_fin;
    default: return 0;
    }
}

static const BIO_METHOD *socket_method(void)
{
    static BIO_METHOD *method; /* one for the process, and for good */

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                              "licorne socket");
        lc_assert(method != NULL);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

/* --- life ------------------------------------------------------------------------------------ */

struct lc_tls_conn *lc_tls_conn_create(const struct lc_tls *tls, int fd)
{
    struct lc_tls_conn *conn = lc_new(struct lc_tls_conn);
    BIO *bio = BIO_new(socket_method());

    pthread_mutex_init(&conn->lock, NULL);
    conn->fd = fd;
    conn->ssl = lc_tls_session(tls);
    if (bio == NULL || conn->ssl == NULL) {
        BIO_free(bio);
        ERR_clear_error();
        lc_tls_conn_destroy(conn);
        return NULL;
    }
    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_accept_state(conn->ssl);
    return conn;
}

void lc_tls_conn_destroy(struct lc_tls_conn *conn)
{
    if (conn == NULL)
        return;
    SSL_free(conn->ssl);
    pthread_mutex_destroy(&conn->lock);
    free((char *)conn->info.server_name);
    OPENSSL_free((void *)conn->info.peer_certificate.at);
    free(conn);
}

/* --- handshake --------------------------------------------------------------------------------- */

static void keep_peer_certificate(struct lc_tls_conn *conn)
{
    X509 *certificate = SSL_get0_peer_certificate(conn->ssl);
    unsigned char *der = NULL;
    int len = certificate == NULL ? 0 : i2d_X509(certificate, &der);

    if (len > 0)
        conn->info.peer_certificate = (struct lc_slice){(char *)der, (size_t)len};
}

static const char *chosen_protocol(const SSL *ssl)
{
    const unsigned char *at;
    unsigned len;

    SSL_get0_alpn_selected(ssl, &at, &len);
    if (len == 0)
        return NULL;
    return memcmp(at, "http/1.0", len) == 0 ? "http/1.0" : "http/1.1"; /* on_alpn */
}

/* Once and for all: OpenSSL's own answers need the connection to stand still. */
static void fill_info(struct lc_tls_conn *conn)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
    struct lc_tls_info *info = &conn->info;

    info->version = SSL_get_version(conn->ssl);
    info->cipher = SSL_CIPHER_get_name(cipher);
    info->cipher_version = SSL_CIPHER_get_version(cipher);
    info->cipher_bits = SSL_CIPHER_get_bits(cipher, NULL);
    info->alpn = chosen_protocol(conn->ssl);
    info->server_name = lc_strdup(
        SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name));
    info->is_resumed = SSL_session_reused(conn->ssl) == 1;
    keep_peer_certificate(conn);
}

static bool is_plain_http(const struct lc_tls_conn *conn)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    bool is_letter = conn->first >= 'A' && conn->first <= 'Z';

    return reason == SSL_R_HTTP_REQUEST ||
           (reason == SSL_R_WRONG_VERSION_NUMBER && is_letter);
}

static enum lc_tls_handshake refuse(struct lc_tls_conn *conn, char *why, size_t room)
{
    long verdict = SSL_get_verify_result(conn->ssl);
    bool is_plain = is_plain_http(conn);

    lc_tls_take_error(why, room);
    if (is_plain)
        return LC_TLS_PLAIN;
    size_t len = strlen(why);
    if (verdict != X509_V_OK)
        snprintf(why + len, room - len, ": %s", X509_verify_cert_error_string(verdict));
    return LC_TLS_FAILED;
}

enum lc_tls_handshake lc_tls_conn_shake_hands(struct lc_tls_conn *conn, char *why,
                                              size_t room)
{
    ERR_clear_error();
    conn->may_receive = true;

    int rc = SSL_do_handshake(conn->ssl);
    if (rc == 1) {
        fill_info(conn);
        conn->is_open = true;
        conn->has_more = true; /* the first request may have come along */
        return LC_TLS_DONE;
    }
    switch (SSL_get_error(conn->ssl, rc)) {
    case SSL_ERROR_WANT_READ: return LC_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return LC_TLS_WANTS_WRITE;
    case SSL_ERROR_SSL:
        if (!conn->has_fin)
            return refuse(conn, why, room);
        break;
    default: break;
    }
    ERR_clear_error();
    return LC_TLS_GONE;
}

bool lc_tls_conn_has_begun(const struct lc_tls_conn *conn)
{
    return conn->has_begun;
}

const struct lc_tls_info *lc_tls_conn_info(const struct lc_tls_conn *conn)
{
    return &conn->info;
}

/* --- bytes in ------------------------------------------------------------------------------------ */

/* OpenSSL failed: sets errno, or tells that the client has ended well. */
static bool is_end(struct lc_tls_conn *conn, int rc)
{
    int sys = errno;

    switch (SSL_get_error(conn->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return false;
    case SSL_ERROR_ZERO_RETURN: return true;
    case SSL_ERROR_SYSCALL:
        conn->is_open = false;
        errno = sys == 0 || sys == EAGAIN ? ECONNRESET : sys;
        break;
    default:
        conn->is_open = false;
        errno = EPROTO;
        break;
    }
    ERR_clear_error();
    return false;
}

/* What OpenSSL holds already is served without asking the socket: so a turn of the loop takes a
 * bounded number of bytes from a client, however fast it sends. */
static ssize_t read_some(struct lc_tls_conn *conn, void *into, size_t room)
{
    size_t have = 0;

    ERR_clear_error();
    conn->may_receive = !conn->has_more;
    conn->has_more = false;
    while (have < room) {
        size_t n;
        int rc = SSL_read_ex(conn->ssl, (char *)into + have, room - have, &n);

        if (rc == 1) {
            have += n;
            continue;
        }
        bool has_ended = is_end(conn, rc);
        /* The client wants an answer of the protocol itself, and does not take what it has got
         * already: no reader can wait for that. */
        if (SSL_want_write(conn->ssl))
            errno = ECONNABORTED;
        if (have == 0)
            return has_ended ? 0 : -1;
        conn->has_more = has_ended || errno != EAGAIN; /* told by the next read */
        return (ssize_t)have;
    }
    conn->has_more = true;
    return (ssize_t)have;
}

ssize_t lc_tls_conn_read(struct lc_tls_conn *conn, void *into, size_t room)
{
    pthread_mutex_lock(&conn->lock);
    ssize_t n = read_some(conn, into, room);
    int sys = errno;
    pthread_mutex_unlock(&conn->lock);
    errno = sys;
    return n;
}

bool lc_tls_conn_has_more(const struct lc_tls_conn *conn)
{
    return conn->has_more;
}

bool lc_tls_conn_peek(struct lc_tls_conn *conn)
{
    char byte;
    size_t n;

    pthread_mutex_lock(&conn->lock);
    ERR_clear_error();
    conn->may_receive = true;
    int rc = SSL_peek_ex(conn->ssl, &byte, 1, &n);
    bool has_bytes = rc == 1;
    /* The socket may have nothing more to tell, neither of bytes nor of an end. */
    conn->has_more = conn->has_more || has_bytes ||
                     SSL_get_error(conn->ssl, rc) != SSL_ERROR_WANT_READ;
    ERR_clear_error();
    pthread_mutex_unlock(&conn->lock);
    return has_bytes;
}

/* --- bytes out ----------------------------------------------------------------------------------- */

/* Where in the parts the next record begins. */
struct cursor {
    const struct iovec *parts;
    int count;
    size_t at; /* in the first of them */
};

static void advance(struct cursor *cursor, size_t n)
{
    while (cursor->count > 0 && n >= cursor->parts->iov_len - cursor->at) {
        n -= cursor->parts->iov_len - cursor->at;
        cursor->parts++;
        cursor->count--;
        cursor->at = 0;
    }
    cursor->at += n;
}

/* As many bytes as one record takes: small parts together, a large one without a copy. A record
 * that did not get through must be offered again with all its bytes; it is, because what was not
 * taken is offered again from the same place. */
static struct lc_slice next_record(struct cursor cursor, char scratch[RECORD_MAX])
{
    size_t len = 0;

    if (cursor.count == 0)
        return (struct lc_slice){NULL, 0};

    size_t in_first = cursor.parts->iov_len - cursor.at;
    if (cursor.count == 1 || in_first >= RECORD_MAX)
        return (struct lc_slice){(const char *)cursor.parts->iov_base + cursor.at,
                                 in_first < RECORD_MAX ? in_first : RECORD_MAX};
    while (cursor.count > 0 && len < RECORD_MAX) {
        size_t n = cursor.parts->iov_len - cursor.at;

        if (n > RECORD_MAX - len)
            n = RECORD_MAX - len;
        memcpy(scratch + len, (const char *)cursor.parts->iov_base + cursor.at, n);
        len += n;
        advance(&cursor, n);
    }
    return (struct lc_slice){scratch, len};
}

static ssize_t write_some(struct lc_tls_conn *conn, const struct iovec *parts, int count)
{
    char scratch[RECORD_MAX];
    struct cursor cursor = {parts, count, 0};
    ssize_t sent = 0;

    ERR_clear_error();
    advance(&cursor, 0); /* past what is empty */
    for (;;) {
        struct lc_slice record = next_record(cursor, scratch);
        size_t n;

        if (record.len == 0)
            return sent;
        int rc = SSL_write_ex(conn->ssl, record.at, record.len, &n);
        if (rc != 1) {
            is_end(conn, rc);
            return sent > 0 || errno == EAGAIN ? sent : -1;
        }
        sent += (ssize_t)n;
        advance(&cursor, n);
    }
}

ssize_t lc_tls_conn_write(struct lc_tls_conn *conn, const struct iovec *parts, int count)
{
    pthread_mutex_lock(&conn->lock);
    ssize_t n = write_some(conn, parts, count);
    int sys = errno;
    pthread_mutex_unlock(&conn->lock);
    errno = sys;
    return n;
}

void lc_tls_conn_say_goodbye(struct lc_tls_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    ERR_clear_error();
    if (conn->is_open)
        SSL_shutdown(conn->ssl);
    conn->is_open = false;
    ERR_clear_error();
    pthread_mutex_unlock(&conn->lock);
}
