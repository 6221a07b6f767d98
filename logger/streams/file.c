/* logger/streams/file.c — appends to a file; a named pipe or a device will do as well. */
#include "logger/streams/streams.h"

#include "base/mem.h"
#include "base/permission.h"
#include "logger/backlog.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    int fd;
};

static mode_t mode_of_new; /* 0: not said */

void lc_stream_file_set_mode(mode_t mode)
{
    mode_of_new = mode;
}

/* O_APPEND lets several writers share the file. O_NONBLOCK changes nothing for a regular file; a
 * named pipe without a reader must not hold up the other streams. */
static int open_with(const char *path, int more)
{
    return open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more,
                0644);
}

/* A mode that was asked for is given to files that are made here, whatever the umask says, and to
 * no others: their rights are what somebody gave them. */
static int open_or_make(const char *path)
{
    int fd = -1;

    if (mode_of_new == 0)
        return open_with(path, O_CREAT);
    do {
        fd = open_with(path, 0);
        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = open_with(path, O_CREAT | O_EXCL);
    } while (fd < 0 && errno == EEXIST); /* somebody was quicker */
    if (fd >= 0)
        fchmod(fd, mode_of_new);
    return fd;
}

static void *file_open(const char *path, struct lc_error *err)
{
    int fd = open_or_make(path);

    if (fd < 0) {
        lc_error_sys(err, "cannot open '%s' for appending as uid %ld", path,
                     (long)geteuid());
        lc_error_blame(err, path, LC_RIGHT_WRITE);
        return NULL;
    }

    struct file *file = lc_new(struct file);
    file->fd = fd;
    return file;
}

static int file_flush(void *state, struct lc_backlog *backlog)
{
    const struct file *file = state;
    struct lc_slice rest;

    while ((rest = lc_backlog_rest(backlog)).len > 0) {
        ssize_t n = write(file->fd, rest.at, rest.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0) {
            errno = EIO; /* never seen; a loop that does not end would be worse */
            return -1;
        }
        lc_backlog_written(backlog, (size_t)n);
    }
    return 0;
}

static int file_descriptor(const void *state)
{
    return ((const struct file *)state)->fd;
}

static void file_close(void *state)
{
    struct file *file = state;

    close(file->fd);
    free(file);
}

const struct lc_stream_ops lc_stream_file = {
    .name = "file",
    .open = file_open,
    .flush = file_flush,
    .descriptor = file_descriptor,
    .close = file_close,
};
