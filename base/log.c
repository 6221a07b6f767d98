#include "base/log.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/ipc.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_HEAD = sizeof(struct lc_msg_head),
    RECORD_HEAD = sizeof(struct lc_record_head),
    STAMP_MAX = 96,       /* "[2026-11-21 07:48:31 +0000] [4194304] [CRITICAL] " */
    REPORT_MAX = 192,     /* the report of drops, head included */
    WAITING_MAX = 1 << 20 /* beyond the batch */
};

/* The longest text of a record, newline included. The report of drops fits beside it, so an
 * empty batch has room for any record. */
enum { TEXT_MAX = LC_MSG_MAX - MESSAGE_HEAD - RECORD_HEAD - REPORT_MAX };

/* The message of this turn. It is sent from where it is gathered. */
static char batch[LC_MSG_MAX];

/* Older messages, complete and in order, for which the socket had no room. These pages cost
 * nothing until the log first falls behind. */
static char waiting[WAITING_MAX];

static struct {
    pthread_mutex_t lock;
    int fd;              /* of the record socket, or -1 */
    lc_log_sink_fn sink; /* instead of the socket, or NULL */
    bool is_cut_off;     /* nobody will read the socket any more */
    bool is_blocked;     /* the socket had no room for the batch */
    pid_t pid;
    uint16_t number;                  /* of the latest message */
    size_t used;                      /* of the batch, its message head included */
    size_t waiting_from, waiting_end; /* what `waiting` holds */
    uint64_t dropped, unreported;

    /* Between reserve and commit. */
    enum lc_stream_id stream;
    size_t reserved;
    char *oversize; /* where a line is made that the batch might not hold, or NULL */
} self = {
    /* Complains when its owner locks it twice, instead of standing still. */
    .lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
    .fd = -1,
    .used = MESSAGE_HEAD,
};

static _Atomic int least_level = LC_INFO;
static _Atomic bool counts_levels;

static void lock(void)
{
    lc_assert(pthread_mutex_lock(&self.lock) == 0);
}

static void unlock(void)
{
    lc_assert(pthread_mutex_unlock(&self.lock) == 0);
}

/* --- where records go -------------------------------------------------------------------- */

static bool uses_socket(void)
{
    return self.fd >= 0 && !self.is_cut_off;
}

static void drop(size_t count)
{
    self.dropped += count;
    self.unreported += count;
}

/* When the logger has gone, error records go to stderr as long as it takes them. Access lines
 * do not belong there. */
static void hand_to_stderr(enum lc_stream_id stream, struct lc_slice text)
{
    struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (stream != LC_STREAM_ERROR || poll(&writable, 1, 0) != 1 ||
        lc_fd_write_all(STDERR_FILENO, text.at, text.len) < 0)
        drop(1);
}

static void hand_over(enum lc_stream_id stream, struct lc_slice text)
{
    if (self.sink != NULL)
        self.sink(stream, text);
    else if (self.is_cut_off)
        hand_to_stderr(stream, text);
    else if (stream != LC_STREAM_METRICS &&
             lc_fd_write_all(stream == LC_STREAM_ACCESS ? STDOUT_FILENO : STDERR_FILENO,
                             text.at, text.len) < 0)
        drop(1);
}

/* Each record of a message, to where it goes without a socket. */
static void hand_over_message(const char *message, size_t len)
{
    struct lc_record_head head;

    for (size_t at = MESSAGE_HEAD; at < len; at += RECORD_HEAD + head.length) {
        memcpy(&head, message + at, sizeof(head));
        hand_over((enum lc_stream_id)head.stream,
                  (struct lc_slice){message + at + RECORD_HEAD, head.length});
    }
}

/* Returns false when the socket is full. When it has no reader left, everything goes to stderr
 * from now on, and the message as well. */
static bool send_message(const char *message, size_t len)
{
    ssize_t n;

    do
        n = send(self.fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
        return false;
    self.is_cut_off = true;
    hand_over_message(message, len);
    return true;
}

/* --- the batch and what waits ------------------------------------------------------------ */

static size_t message_length(const char *message)
{
    struct lc_msg_head head;

    memcpy(&head, message, sizeof(head));
    return sizeof(head) + head.length;
}

/* True when nothing waits any more. */
static bool send_waiting(void)
{
    while (self.waiting_from < self.waiting_end) {
        const char *message = waiting + self.waiting_from;
        size_t len = message_length(message);

        if (!uses_socket())
            hand_over_message(message, len);
        else if (!send_message(message, len))
            return false;
        self.waiting_from += len;
    }
    self.waiting_from = self.waiting_end = 0;
    return true;
}

static void close_batch(void)
{
    struct lc_msg_head head = {.length = (uint32_t)(self.used - MESSAGE_HEAD),
                               .type = LC_MSG_RECORDS,
                               .generation = ++self.number};

    memcpy(batch, &head, sizeof(head));
}

static bool send_batch(void)
{
    if (self.used > MESSAGE_HEAD) {
        close_batch();
        if (!uses_socket())
            hand_over_message(batch, self.used);
        else if (!send_message(batch, self.used))
            return false;
        self.used = MESSAGE_HEAD;
    }
    return true;
}

/* Puts the batch behind what waits already. False when that is full. */
static bool let_batch_wait(void)
{
    size_t length = self.waiting_end - self.waiting_from;

    if (self.used > sizeof(waiting) - length)
        return false;
    if (self.used > sizeof(waiting) - self.waiting_end) {
        memmove(waiting, waiting + self.waiting_from, length);
        self.waiting_from = 0;
        self.waiting_end = length;
    }
    close_batch();
    memcpy(waiting + self.waiting_end, batch, self.used);
    self.waiting_end += self.used;
    self.used = MESSAGE_HEAD;
    return true;
}

static pid_t own_pid(void)
{
    if (self.pid == 0) /* before lc_log_open */
        self.pid = getpid();
    return self.pid;
}

/* `level` is enum lc_level + 1, or 0. */
static char *append_head(enum lc_stream_id stream, size_t len, int level)
{
    struct lc_record_head head = {.stream = (uint16_t)stream,
                                  .level = (uint16_t)level,
                                  .length = (uint32_t)len,
                                  .pid = (int32_t)own_pid()};

    memcpy(batch + self.used, &head, sizeof(head));
    return batch + self.used + RECORD_HEAD;
}

static void append(enum lc_stream_id stream, const char *text, size_t len, int level)
{
    memcpy(append_head(stream, len, level), text, len);
    self.used += RECORD_HEAD + len;
}

static size_t put_stamp(char *into, enum lc_level level);

static void append_report(void)
{
    char text[REPORT_MAX - RECORD_HEAD];
    size_t len = put_stamp(text, LC_WARN);

    len += (size_t)snprintf(text + len, sizeof(text) - len,
                            "%" PRIu64 " log records were dropped: "
                            "the log could not keep up\n",
                            self.unreported);
    self.unreported = 0;
    append(LC_STREAM_ERROR, text, len, LC_WARN + 1);
}

/* True when everything has left. */
static bool flush(void)
{
    while (send_waiting() && send_batch()) {
        /* Without a socket there is nowhere to report to: lc_log_dropped still tells. */
        if (self.unreported == 0 || !uses_socket()) {
            self.is_blocked = false;
            return true;
        }
        append_report();
    }
    self.is_blocked = true;
    return false;
}

/* Sees to it that a record with `len` bytes of text fits the batch; false, and the record is
 * counted as dropped, when it cannot. What was dropped earlier is reported ahead of it. */
static bool make_room(size_t len)
{
    size_t report = self.unreported != 0 ? REPORT_MAX : 0;

    if (self.used + report + RECORD_HEAD + len > LC_MSG_MAX && !flush() &&
        !let_batch_wait()) {
        drop(1);
        return false;
    }
    if (self.unreported != 0 && uses_socket())
        append_report();
    return true;
}

/* --- lines -------------------------------------------------------------------------------- */

/* The line's text stands in the batch already. */
static void end_line(enum lc_stream_id stream, size_t len)
{
    append_head(stream, len + 1, 0)[len] = '\n';
    self.used += RECORD_HEAD + len + 1;
    if (!uses_socket())
        flush();
}

static void put_line(enum lc_stream_id stream, const char *line, size_t len)
{
    if (len > TEXT_MAX - 1)
        len = TEXT_MAX - 1;
    if (!make_room(len + 1))
        return;
    if (len != 0)
        memcpy(batch + self.used + RECORD_HEAD, line, len);
    end_line(stream, len);
}

void lc_log_send(enum lc_stream_id stream, const char *line, size_t len)
{
    lock();
    put_line(stream, line, len);
    unlock();
}

char *lc_log_reserve(enum lc_stream_id stream, size_t len)
{
    lock();
    if (len > TEXT_MAX - 1) {
        /* Asked for the worst case; as a rule the line itself is short. */
        self.oversize = lc_malloc(len);
    } else if (!make_room(len + 1)) {
        unlock();
        return NULL;
    }
    self.stream = stream;
    self.reserved = len;
    return self.oversize != NULL ? self.oversize : batch + self.used + RECORD_HEAD;
}

void lc_log_commit(size_t len)
{
    lc_assert(len <= self.reserved);
    if (len > 0 && self.oversize != NULL)
        put_line(self.stream, self.oversize, len);
    else if (len > 0)
        end_line(self.stream, len);
    free(self.oversize);
    self.oversize = NULL;
    self.reserved = 0;
    unlock();
}

/* --- error records ------------------------------------------------------------------------ */

static const char *const level_names[] = {
    [LC_DEBUG] = "DEBUG", [LC_INFO] = "INFO",         [LC_WARN] = "WARNING",
    [LC_ERROR] = "ERROR", [LC_CRITICAL] = "CRITICAL",
};

/* The time's text is made once a second; each thread keeps its own. */
static const char *time_text(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t made = -1;
    time_t now = time(NULL);

    if (now != made) {
        struct tm local;

        localtime_r(&now, &local);
        strftime(text, sizeof(text), "[%Y-%m-%d %H:%M:%S %z]", &local);
        made = now;
    }
    return text;
}

static size_t put_stamp(char *into, enum lc_level level)
{
    return (size_t)snprintf(into, STAMP_MAX, "%s [%ld] [%s] ", time_text(),
                            (long)own_pid(), level_names[level]);
}

/* A terminal must not obey what a client or an application put into a message. Bytes from 0x80
 * on are left alone: they are letters in UTF-8. */
static bool is_harmful(unsigned char c)
{
    return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

static size_t escaped_length(struct lc_slice text)
{
    size_t len = text.len;

    for (size_t i = 0; i < text.len; i++)
        if (is_harmful((unsigned char)text.at[i]))
            len += 3;
    return len;
}

static size_t put_escaped(char *into, struct lc_slice text)
{
    static const char digits[] = "0123456789abcdef";
    char *at = into;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (!is_harmful(c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '\\';
        *at++ = 'x';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    return (size_t)(at - into);
}

/* How much of a text goes into its next record. Another process's record may come between two,
 * so a long text is rather parted where a line ends. */
static size_t next_piece(struct lc_slice text)
{
    if (text.len <= TEXT_MAX)
        return text.len;

    const char *newline = memrchr(text.at, '\n', TEXT_MAX);
    return newline == NULL ? TEXT_MAX : (size_t)(newline - text.at) + 1;
}

/* Error records leave at once, behind what was gathered before them. */
static void put_text(struct lc_slice text, int level)
{
    lock();
    while (text.len > 0) {
        size_t len = next_piece(text);

        if (!make_room(len))
            break; /* the rest would make no sense without this piece */
        append(LC_STREAM_ERROR, text.at, len, level);
        level = 0;
        text.at += len;
        text.len -= len;
    }
    flush();
    unlock();
}

bool lc_log_enabled(enum lc_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void lc_log_raw(struct lc_slice text)
{
    put_text(text, 0);
}

/* As Gunicorn names them: its `exception` is an error that brings its traceback. */
static void count_level(enum lc_level level, struct lc_slice text)
{
    static const char *const names[] = {
        [LC_WARN] = "warning", [LC_ERROR] = "error", [LC_CRITICAL] = "critical"};
    static const char traceback[] = "\nTraceback (most recent call last)";
    char line[64];

    if (level < LC_WARN || !atomic_load_explicit(&counts_levels, memory_order_relaxed))
        return;
    bool is_exception = level == LC_ERROR && memmem(text.at, text.len, traceback,
                                                    sizeof(traceback) - 1) != NULL;
    int len = snprintf(line, sizeof(line), "gunicorn.log.%s:1|c|@1.0",
                       is_exception ? "exception" : names[level]);
    lc_log_send(LC_STREAM_METRICS, line, (size_t)len);
}

void lc_log_count_levels(bool counts)
{
    atomic_store_explicit(&counts_levels, counts, memory_order_relaxed);
}

void lc_log_access(struct lc_slice line)
{
    LC_AUTOFREE char *escaped = lc_malloc(escaped_length(line) + 1);

    lc_log_send(LC_STREAM_ACCESS, escaped, put_escaped(escaped, line));
}

void lc_log_text(enum lc_level level, struct lc_slice text)
{
    char ordinary[4096];

    count_level(level, text);
    if (!lc_log_enabled(level))
        return;
    if (text.len > 0 && text.at[text.len - 1] == '\n')
        text.len--; /* tracebacks bring theirs */

    size_t room = STAMP_MAX + escaped_length(text) + 1;
    char *line = room <= sizeof(ordinary) ? ordinary : lc_malloc(room);
    size_t len = put_stamp(line, level);

    len += put_escaped(line + len, text);
    line[len++] = '\n';
    put_text((struct lc_slice){line, len}, (int)level + 1);
    if (line != ordinary)
        free(line);
}

void lc_log(enum lc_level level, const char *format, ...)
{
    char ordinary[2048];
    va_list args;

    if (!lc_log_enabled(level)) {
        count_level(level, (struct lc_slice){"", 0});
        return;
    }
    va_start(args, format);
    int len = vsnprintf(ordinary, sizeof(ordinary), format, args);
    va_end(args);
    if (len < 0)
        return; /* a %ls that cannot be converted: there is no text */
    if ((size_t)len < sizeof(ordinary)) {
        lc_log_text(level, (struct lc_slice){ordinary, (size_t)len});
        return;
    }
    va_start(args, format);
    LC_AUTOFREE char *text = lc_vprintf(format, args);
    va_end(args);
    lc_log_text(level, lc_slice(text));
}

/* --- life --------------------------------------------------------------------------------- */

/* What was gathered is the parent's to send. Its other threads, one of which may have held the
 * lock, do not exist here; that is why the lock is taken before the fork. */
static void start_empty(void)
{
    self.lock = (pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
    self.pid = getpid();
    self.number = (uint16_t)(self.pid * 257); /* not the numbers of its siblings */
    self.used = MESSAGE_HEAD;
    self.waiting_from = self.waiting_end = 0;
    self.dropped = self.unreported = 0;
    self.is_blocked = false;
}

static void set_up(enum lc_level threshold)
{
    static bool knows_forks;

    if (!knows_forks) {
        lc_assert(pthread_atfork(lock, unlock, start_empty) == 0);
        knows_forks = true;
    }
    atomic_store_explicit(&least_level, (int)threshold, memory_order_relaxed);
    self.pid = getpid();
}

/* All senders share the socket's room. It must hold the largest message at the very least. */
static void widen(int fd)
{
    int wanted = 4 * LC_MSG_MAX, room = 0;
    socklen_t len = sizeof(room);

    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &len) == 0 && room < wanted)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

void lc_log_open(int fd, enum lc_level threshold)
{
    set_up(threshold);
    lock();
    flush();
    self.sink = NULL;
    self.fd = fd;
    self.is_cut_off = false;
    unlock();
    if (fd >= 0)
        widen(fd);
}

void lc_log_divert(lc_log_sink_fn sink, enum lc_level threshold)
{
    set_up(threshold);
    lock();
    flush();
    self.sink = sink;
    self.fd = -1;
    unlock();
}

bool lc_log_flush(void)
{
    lock();
    bool is_done = flush();
    unlock();
    return is_done;
}

bool lc_log_is_waiting(void)
{
    lock();
    bool is_waiting = self.is_blocked;
    unlock();
    return is_waiting;
}

int lc_log_fd(void)
{
    lock();
    int fd = uses_socket() ? self.fd : -1;
    unlock();
    return fd;
}

void lc_log_drain(int limit_ms)
{
    uint64_t end = lc_clock_ms() + (uint64_t)(limit_ms > 0 ? limit_ms : 0);

    while (!lc_log_flush()) {
        struct pollfd writable = {.fd = lc_log_fd(), .events = POLLOUT};
        uint64_t now = lc_clock_ms();

        if (now >= end)
            break;
        poll(&writable, 1, (int)(end - now));
    }
}

uint64_t lc_log_dropped(void)
{
    lock();
    uint64_t dropped = self.dropped;
    unlock();
    return dropped;
}

enum lc_level lc_level_of(const char *name)
{
    static const struct {
        const char *name;
        enum lc_level level;
    } names[] = {
        {"debug", LC_DEBUG},    {"info", LC_INFO},   {"warning", LC_WARN},
        {"warn", LC_WARN},      {"error", LC_ERROR}, {"critical", LC_CRITICAL},
        {"fatal", LC_CRITICAL},
    };

    for (size_t i = 0; name != NULL && i < LC_COUNT(names); i++)
        if (strcasecmp(name, names[i].name) == 0)
            return names[i].level;
    return LC_INFO;
}
