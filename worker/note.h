/* worker/note.h — what goes along with a connection that is passed to a sibling (worker/share.h):
 * what its descriptor does not tell, or not any more when its client has gone; of a relayed one, what
 * was agreed on; what was read of it; and the body of its request.
 *
 * A body that lies in a file goes with it. So does one that the note has no room for; and where
 * there is none for a long head either, that follows the body in the file. */
#pragma once
#include "base/passing.h"
#include "worker/proxy.h"

#include <licorne/slice.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct lc_conn;

struct lc_note {
    char remote_addr[INET6_ADDRSTRLEN], remote_port[8];
    char server_addr[112], server_port[8];
    uint8_t is_unix;
    uint8_t is_encrypted; /* the handshake is still to come        */
    uint8_t is_relayed;   /* who passed it first decrypts it       */
    uint8_t is_last;      /* … and closes it after the next answer */
    uint8_t is_greeted, is_announced;
    uint8_t has_asked;
    uint8_t is_received; /* the request's body is complete                */
    uint8_t is_behind;   /* what was read lies in the file, behind it     */
    uint32_t read_len;   /* bytes: what was agreed on, and what was read  */
    uint64_t body_len;
    struct lc_proxy announced;
};

/* One that has come. */
struct lc_parting {
    struct lc_note note;
    char bytes[LC_PASSING_MAX - sizeof(struct lc_note)];
    struct lc_passed passed;
    struct lc_slice read; /* of `bytes`, or of `copy` */
    struct lc_slice body; /* of `bytes`; empty when it lies in the file */
    char *copy;           /* or NULL */
};

/* Whether what was read of the connection can go along: it is idle, or has a request that the
 * application has not seen, and of which the rest, if any, is still in its socket. */
bool lc_note_is_possible(const struct lc_conn *conn);

/* Sends the note with `fd`, which stays the caller's. False when there is no room for it: then nothing
 * has changed; or for the body on the disk: then it will not be possible. */
bool lc_note_send(struct lc_conn *conn, int fd);

enum lc_note_result {
    LC_NOTE_COME,
    LC_NOTE_NONE, /* errno says why, see lc_passing_receive            */
    LC_NOTE_BAD,  /* what came is no note; it is gone, and the log says so */
};

/* Takes the first note of the queue. What came with it is the caller's; lc_note_end closes and frees
 * what is left of it. */
enum lc_note_result lc_note_receive(int queue, struct lc_parting *parting);
void lc_note_end(struct lc_parting *parting);
