/* base/ipc.h — what the processes say to each other.
 *
 * The master shares a SOCK_SEQPACKET pair, the channel, with each child. A child that sees its
 * channel close has lost its master and ends. Records travel on a second pair (base/log.h).
 * No pointer crosses; the receiver checks length and type first. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lc_error;

enum lc_msg_type {
    LC_MSG_READY = 1, /* worker, logger → master: booted, serving. No payload           */
    LC_MSG_BOOT_FAILED, /* worker, logger → master: it will exit. struct lc_msg_boot_failed       */
    LC_MSG_RETIRING, /* worker → master: max_requests reached, replace me. No payload  */
    LC_MSG_RECORDS, /* anyone → logger, on the record socket: struct lc_record_head…  */
    LC_MSG_STREAMS, /* master → logger: use these files from now on (base/log.h)      */
    LC_MSG_REOPEN, /* master → logger, workers: open all log files anew (SIGUSR1). No payload */
    LC_MSG_SOURCES, /* worker → master: files that the application consists of, since the
                     * latest such message; each is struct timespec, then a path and NUL */
    LC_MSG_TRACEBACK, /* worker → master: why it cannot load the application; master →
                       * worker: show this until you are replaced. Text               */
    LC_MSG_LOST, /* master → worker: write the access line of a request that ended with
                  * another worker. struct lc_msg_lost                                  */
    LC_MSG_STOP, /* master → logger: write what is queued, then exit. No payload   */
    LC_MSG_CREDENTIALS, /* master → worker: use these from now on (base/credentials.h), in
                         * a descriptor. struct lc_ticket_keys (base/tickets.h) */
    LC_MSG_CONNECTION, /* worker → any worker (base/passing.h): serve this descriptor. What
                         * worker/share.c notes about it                               */
};

struct lc_msg_head {
    uint32_t length; /* of the payload, in bytes */
    uint16_t type;
    uint16_t generation; /* of the sender's configuration; of records: a running number */
};
_Static_assert(sizeof(struct lc_msg_head) == 8, "the wire format is fixed");

struct lc_msg_boot_failed {
    int32_t exit_code;
    char text[1024]; /* ends in NUL */
};

struct lc_msg_lost { /* texts end in NUL, see struct lc_hand */
    uint64_t age_ms;
    int32_t status;
    char method[16], target[160], client[48];
};

/* The largest message, head included; also the most that one batch of records may hold. */
enum { LC_MSG_MAX = 65536 };

enum { LC_FDS_MAX = 2 }; /* descriptors beside a message */

/* Two connected ends, both close-on-exec; [0] non-blocking for the master's loop, [1] blocking.
 * 0, or -1 with `err`. */
int lc_channel_pair(int ends[2], struct lc_error *err);

/* Sends one message; never raises SIGPIPE. 0, or -1 with errno (EAGAIN: full). */
int lc_channel_send(int fd, enum lc_msg_type type, uint16_t generation,
                    const void *payload, size_t length);

/* Receives one message into `buffer` of at least LC_MSG_MAX bytes and checks its head. Returns
 * the payload's length with `*head` filled and the payload at the buffer's start; -1 with errno
 * EAGAIN when none is waiting, EBADMSG for one that is not well formed, EPIPE when the other
 * end is closed. */
ssize_t lc_channel_receive(int fd, struct lc_msg_head *head, void *buffer, size_t size);

/* The same with a descriptor, which stays the sender's and becomes the receiver's as well; one
 * that came is close-on-exec, and -1 when none did. */
int lc_channel_send_fd(int fd, enum lc_msg_type type, uint16_t generation,
                       const void *payload, size_t length, int passed);
ssize_t lc_channel_receive_fd(int fd, struct lc_msg_head *head, void *buffer, size_t size,
                              int *passed);

/* The same with several of them, LC_FDS_MAX at most. Those that did not come are -1; of a message
 * with more none is received. */
int lc_channel_send_fds(int fd, enum lc_msg_type type, uint16_t generation,
                        const void *payload, size_t length, const int *passed,
                        unsigned count);
ssize_t lc_channel_receive_fds(int fd, struct lc_msg_head *head, void *buffer,
                               size_t size, int passed[LC_FDS_MAX]);

/* lc_channel_receive, but the message stays where it is until it is discarded. So must be what was
 * not well formed. */
ssize_t lc_channel_peek(int fd, struct lc_msg_head *head, void *buffer, size_t size);
void lc_channel_discard(int fd);
