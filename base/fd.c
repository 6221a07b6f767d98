#include "base/fd.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void lc_autoclose(const int *fd)
{
    int kept = errno;

    if (*fd >= 0)
        close(*fd);
    errno = kept;
}

int lc_fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

void lc_fd_close(int *fd)
{
    lc_autoclose(fd);
    *fd = -1;
}

int lc_fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int lc_fd_set_cloexec(int fd, int on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

int lc_fd_fill_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", O_RDWR) != fd) /* the lowest that is free */
            return -1;
    return 0;
}

int lc_fd_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

const char *lc_fd_tmpdir(const char *dir)
{
    if (dir == NULL)
        dir = getenv("TMPDIR");
    return dir == NULL || *dir == '\0' ? "/tmp" : dir;
}

int lc_fd_tmpfile(const char *dir)
{
    dir = lc_fd_tmpdir(dir);

    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;

    /* Not every file system has nameless files. */
    LC_AUTOFREE char *path = lc_printf("%s/licorne-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}
