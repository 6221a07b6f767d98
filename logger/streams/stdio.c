/* logger/streams/stdio.c — the program's own stdout and stderr.
 *
 * They may be anything: a terminal that was stopped with Ctrl-S, a pipe whose reader sleeps. The
 * logger must not stand still with them, and must not make them non-blocking either: others, the
 * shell for one, write to the same open description and would find their writes fail. */
#include "logger/streams/streams.h"

#include "base/mem.h"
#include "logger/backlog.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum way {
    OWN,     /* a description of our own, which is non-blocking         */
    SOCKET,  /* send() can be told not to block                         */
    REGULAR, /* a file on a disk never makes us wait                    */
    SHARED,  /* the inherited description: asked first, in small pieces */
};

struct stdio {
    enum way way;
    int fd;
};

/* The same pipe or terminal, opened once more; -1 when that is not to be had (another user's, or
 * no /proc). */
static int open_again(int inherited)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", inherited);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static void *stdio_open(int inherited, struct lc_error *err)
{
    struct stat st;

    if (fstat(inherited, &st) < 0) {
        lc_error_sys(err, "%s", inherited == STDOUT_FILENO ? "stdout" : "stderr");
        return NULL;
    }

    struct stdio *stdio = lc_new(struct stdio);
    stdio->fd = inherited;
    if (S_ISREG(st.st_mode)) {
        stdio->way = REGULAR;
    } else if (S_ISSOCK(st.st_mode)) {
        stdio->way = SOCKET;
    } else {
        int fd = open_again(inherited);

        stdio->way = fd < 0 ? SHARED : OWN;
        stdio->fd = fd < 0 ? inherited : fd;
    }
    return stdio;
}

static void *stdout_open(const char *target, struct lc_error *err)
{
    return stdio_open(STDOUT_FILENO, err);
}

static void *stderr_open(const char *target, struct lc_error *err)
{
    return stdio_open(STDERR_FILENO, err);
}

/* Whole lines where they fit a pipe's atomic write, so that what others print into the same pipe
 * does not land in the middle of one. */
static size_t piece_of(struct lc_slice rest)
{
    if (rest.len <= PIPE_BUF)
        return rest.len;

    const char *newline = memrchr(rest.at, '\n', PIPE_BUF);
    return newline == NULL ? PIPE_BUF : (size_t)(newline - rest.at) + 1;
}

static bool has_room(int fd)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};

    /* An error or a hang-up counts: the write will tell which. */
    return poll(&writable, 1, 0) != 0;
}

static ssize_t write_some(const struct stdio *stdio, struct lc_slice rest)
{
    switch (stdio->way) {
    case REGULAR: return write(stdio->fd, rest.at, rest.len);
    case SOCKET: return send(stdio->fd, rest.at, rest.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case OWN: return write(stdio->fd, rest.at, piece_of(rest));
    case SHARED: break;
    }
    if (!has_room(stdio->fd)) {
        errno = EAGAIN;
        return -1;
    }
    return write(stdio->fd, rest.at, piece_of(rest));
}

static int stdio_flush(void *state, struct lc_backlog *backlog)
{
    struct lc_slice rest;

    while ((rest = lc_backlog_rest(backlog)).len > 0) {
        ssize_t n = write_some(state, rest);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0) {
            errno = EIO;
            return -1;
        }
        lc_backlog_written(backlog, (size_t)n);
    }
    return 0;
}

static int stdio_descriptor(const void *state)
{
    return ((const struct stdio *)state)->fd;
}

static void stdio_close(void *state)
{
    struct stdio *stdio = state;

    if (stdio->way == OWN)
        close(stdio->fd);
    free(stdio);
}

const struct lc_stream_ops lc_stream_stdout = {
    .name = "stdout",
    .open = stdout_open,
    .flush = stdio_flush,
    .descriptor = stdio_descriptor,
    .close = stdio_close,
};

const struct lc_stream_ops lc_stream_stderr = {
    .name = "stderr",
    .open = stderr_open,
    .flush = stdio_flush,
    .descriptor = stdio_descriptor,
    .close = stdio_close,
};
