#include "worker/note.h"

#include "base/fd.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "worker/conn.h"
#include "worker/exchange.h"
#include "worker/relay.h"
#include "worker/tls_info.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct message {
    struct lc_note note;
    char bytes[LC_PASSING_MAX - sizeof(struct lc_note)];
};

/* --- what goes along ------------------------------------------------------------------------- */

/* Whoever pulls the body out of the socket has what came of it; before that it is pending. */
bool lc_note_is_possible(const struct lc_conn *conn)
{
    const struct lc_exchange *exchange = conn->exchange;

    if (exchange == NULL)
        return true;
    return !exchange->is_stuck &&
           (conn->state == LC_CONN_WAITING ||
            (conn->state == LC_CONN_HANDLING && exchange->pull.buffer == NULL));
}

static bool put_text(char *into, size_t room, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len >= room)
        return false;
    memcpy(into, text == NULL ? "" : text, len);
    return true;
}

/* What a taker learns of its client goes when it gives the connection back, and a worker that
 * leaves will not serve the next request. */
static bool is_to_close(const struct lc_conn *conn)
{
    return !conn->is_greeted || lc_server_is_leaving(conn->server);
}

/* False when it cannot be told. */
static bool describe(const struct lc_conn *conn, struct lc_note *note)
{
    const struct lc_endpoints *ends = &conn->endpoints;

    memset(note, 0, sizeof(*note));
    note->is_unix = ends->is_unix;
    note->is_relayed = ends->tls != NULL;
    note->is_encrypted = conn->wire.tls != NULL && !note->is_relayed;
    note->is_last = conn->is_last || (lc_relay_is_needed(conn) && is_to_close(conn));
    note->is_greeted = conn->is_greeted;
    note->has_asked = conn->has_asked;
    note->is_announced = conn->announced != NULL;
    if (conn->announced != NULL)
        note->announced = *conn->announced;
    return put_text(note->remote_addr, sizeof(note->remote_addr), conn->remote_addr) &&
           put_text(note->remote_port, sizeof(note->remote_port), conn->remote_port) &&
           put_text(note->server_addr, sizeof(note->server_addr), ends->server_addr) &&
           put_text(note->server_port, sizeof(note->server_port), ends->server_port);
}

/* What follows a request goes through the relay, if there is one. */
static struct lc_slice pending_of(const struct lc_conn *conn)
{
    if (lc_relay_is_needed(conn))
        return (struct lc_slice){NULL, 0};
    return (struct lc_slice){conn->pending, conn->pending_len};
}

static size_t put_bytes(char *into, struct lc_slice bytes)
{
    if (bytes.len != 0)
        memcpy(into, bytes.at, bytes.len);
    return bytes.len;
}

static size_t read_size(const struct lc_conn *conn)
{
    const struct lc_tls_info *tls = conn->endpoints.tls;

    return (tls == NULL ? 0 : lc_tls_info_size(tls)) +
           (conn->exchange == NULL ? 0 : conn->exchange->head.len) + pending_of(conn).len;
}

static void put_read(char *into, const struct lc_conn *conn)
{
    const struct lc_tls_info *tls = conn->endpoints.tls;

    if (tls != NULL) {
        lc_tls_info_pack(tls, into);
        into += lc_tls_info_size(tls);
    }
    if (conn->exchange != NULL)
        into += put_bytes(into, conn->exchange->head);
    put_bytes(into, pending_of(conn));
}

/* --- sending --------------------------------------------------------------------------------- */

/* Where this process's memory does not matter. A disk that has failed is not asked a thousand times a
 * second whether it has come to its senses: the request waits for this worker then. */
static bool file_body(struct lc_exchange *exchange)
{
    struct lc_error err;

    exchange->is_stuck = lc_gather_to_file(&exchange->body, &err) < 0 ||
                         lc_gather_finish(&exchange->body, &exchange->request.body,
                                          &err) < 0;
    return !exchange->is_stuck;
}

static bool file_read(const struct lc_conn *conn, size_t len)
{
    struct lc_exchange *exchange = conn->exchange;
    const struct lc_gather *body = &exchange->body;
    LC_AUTOFREE char *bytes = lc_malloc(len);

    put_read(bytes, conn);
    exchange->is_stuck = lseek(body->fd, (off_t)body->size, SEEK_SET) < 0 ||
                         lc_fd_write_all(body->fd, bytes, len) < 0;
    return !exchange->is_stuck;
}

/* The parts that do not fit go into the file. False when that cannot be. */
static bool pack(struct lc_conn *conn, struct message *message, size_t *len)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_note *note = &message->note;
    size_t room = sizeof(message->bytes), read_len = read_size(conn), body_len = 0;
    bool needs_file = read_len > room;

    note->read_len = (uint32_t)read_len;
    note->is_behind = needs_file;
    if (exchange != NULL) {
        note->is_received = lc_exchange_is_received(exchange);
        note->body_len = exchange->body.size;
        needs_file |= exchange->body.fd >= 0 || note->body_len > room - read_len;
        body_len = needs_file ? 0 : (size_t)note->body_len;
    }
    if (needs_file && (exchange == NULL || !file_body(exchange)))
        return false;
    if (note->is_behind && !file_read(conn, read_len))
        return false;

    *len = sizeof(*note);
    if (!note->is_behind) {
        put_read(message->bytes, conn);
        *len += read_len;
    }
    if (body_len != 0) {
        memcpy(message->bytes + read_len, exchange->body.memory, body_len);
        *len += body_len;
    }
    return true;
}

bool lc_note_send(struct lc_conn *conn, int fd)
{
    struct message message;
    size_t len;

    if (fd < 0 || !describe(conn, &message.note) || !pack(conn, &message, &len))
        return false;
    struct lc_passed passed = {fd, conn->exchange == NULL ? -1 : conn->exchange->body.fd};
    return lc_passing_send(conn->server->inherit->passing[LC_PASSING_GIVE], &message, len,
                           &passed) == 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void end_texts(struct lc_note *note)
{
    note->remote_addr[sizeof(note->remote_addr) - 1] = '\0';
    note->remote_port[sizeof(note->remote_port) - 1] = '\0';
    note->server_addr[sizeof(note->server_addr) - 1] = '\0';
    note->server_port[sizeof(note->server_port) - 1] = '\0';
}

static bool read_back(struct lc_parting *parting)
{
    const struct lc_note *note = &parting->note;

    parting->copy = lc_malloc(note->read_len);
    parting->read = (struct lc_slice){parting->copy, note->read_len};
    return pread(parting->passed.file, parting->copy, note->read_len,
                 (off_t)note->body_len) == (ssize_t)note->read_len;
}

/* `len` bytes came behind the note. */
static bool unpack(struct lc_parting *parting, size_t len)
{
    const struct lc_note *note = &parting->note;
    bool has_file = parting->passed.file >= 0;

    if (note->is_behind)
        return has_file && len == 0 && read_back(parting);
    if (note->read_len > len)
        return false;
    parting->read = (struct lc_slice){parting->bytes, note->read_len};
    parting->body = (struct lc_slice){parting->bytes + note->read_len,
                                      len - note->read_len};
    return parting->body.len == (has_file ? 0 : note->body_len);
}

enum lc_note_result lc_note_receive(int queue, struct lc_parting *parting)
{
    const size_t room = sizeof(parting->note) + sizeof(parting->bytes);

    parting->passed = (struct lc_passed){-1, -1};
    parting->copy = NULL;
    ssize_t n = lc_passing_receive(queue, &parting->note, room, &parting->passed);
    if (n < 0 && errno != EBADMSG)
        return LC_NOTE_NONE;
    if (n >= (ssize_t)sizeof(parting->note)) {
        end_texts(&parting->note);
        if (unpack(parting, (size_t)n - sizeof(parting->note)))
            return LC_NOTE_COME;
    }
    lc_log(LC_ERROR, "What a sibling passed on is no connection: dropped");
    lc_note_end(parting);
    return LC_NOTE_BAD;
}

void lc_note_end(struct lc_parting *parting)
{
    lc_fd_close(&parting->passed.conn);
    lc_fd_close(&parting->passed.file);
    free(parting->copy);
}
