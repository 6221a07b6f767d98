/* base/log.h — the sending side of the log, one for each process.
 *
 * Every record goes to the logger process over one SOCK_SEQPACKET pair. Access lines of one loop
 * turn are gathered into one message; error records leave at once, taking along what was
 * gathered before them. When the socket is full, records wait in a bounded buffer; what must be
 * dropped is counted, and the count is reported as a record of its own as soon as there is
 * room.
 *
 * Any thread may call anything here: one lock guards the batch. A forked child starts with an
 * empty batch, so what its parent had gathered is sent once, by the parent. */
#pragma once
#include <licorne/log.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lc_stream_id {
    LC_STREAM_ERROR,
    LC_STREAM_ACCESS,
    LC_STREAM_METRICS, /* "gunicorn.requests:1|c|@1.0": see app/metrics.h */
    LC_STREAM_COUNT
};

/* What a message on the record socket holds, one after another: this head, then `length` bytes
 * of text including its newline. The message itself begins with a struct lc_msg_head. */
struct lc_record_head {
    uint16_t stream; /* enum lc_stream_id */
    uint16_t level;  /* enum lc_level + 1; 0: none, the text is not stamped */
    uint32_t length;
    int32_t pid; /* the sender's */
};
_Static_assert(sizeof(struct lc_record_head) == 12, "the wire format is fixed");

/* The payload of LC_MSG_STREAMS: these texts in this order, each ended by NUL. */
#define LC_LOG_TARGETS(X)                                                  \
    X(error)  /* a path; "-" is stderr, "" is nowhere            */        \
    X(access) /* a path; "-" is stdout                           */        \
    X(owner)  /* "UID:GID" that files are given to, or ""        */        \
    X(mode)   /* of new files, in octal; "": as the umask says   */        \
    X(syslog) /* an address, see config/remote.h; "": no syslog  */        \
    X(syslog_facility)                                                     \
    X(syslog_prefix)                                                       \
    X(syslog_access) /* "yes", or "": error records only                */ \
    X(statsd)        /* an address; "": no statsd                       */ \
    X(statsd_prefix)                                                       \
    X(statsd_tags)

/* From now on records go to `fd` (not owned); -1: straight to stderr, as before any logger runs.
 * May be called again, after a fork or when the settings changed. */
void lc_log_open(int fd, enum lc_level threshold);

/* For the process that writes the logs itself: from now on each record is handed to `sink` at
 * once, its newline included. The sink must not log. */
typedef void (*lc_log_sink_fn)(enum lc_stream_id stream, struct lc_slice text);
void lc_log_divert(lc_log_sink_fn sink, enum lc_level threshold);

/* A finished line for a stream, without its newline; joins the batch of this turn. A line longer
 * than LC_MSG_MAX allows is cut. */
void lc_log_send(enum lc_stream_id stream, const char *line, size_t len);

/* The same without a copy: room for a line of at most `len` bytes, to be filled and then sent
 * with the length it really has (0 sends nothing). A commit must follow, and no other call of
 * this thread may come between: the lock is held meanwhile. NULL when the buffer is full: the
 * record is counted as dropped, and there is nothing to commit. */
char *lc_log_reserve(enum lc_stream_id stream, size_t len);
void lc_log_commit(size_t len);

/* From now on warnings and worse are counted as metrics, also those that the level hides. */
void lc_log_count_levels(bool counts);

/* Sends the batch. False while records still wait for room in the socket: call again when
 * lc_log_fd() is writable, and at the end of each turn. */
bool lc_log_flush(void);
bool lc_log_is_waiting(void);
int lc_log_fd(void);

/* Sends everything, waiting at most `limit_ms`; before a process exits. */
void lc_log_drain(int limit_ms);

/* Records dropped by this process so far. */
uint64_t lc_log_dropped(void);

/* "debug" ... "critical" in any case, also "warn" and "fatal"; anything else is LC_INFO, as in
 * Gunicorn. */
enum lc_level lc_level_of(const char *name);
