#include "base/passing.h"

#include "base/fd.h"
#include "base/ipc.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A worker that leaves passes all of its idle connections at once. */
enum { ROOM = 4 << 20 };

int lc_passing_open(int ends[2], struct lc_error *err)
{
    int room = ROOM;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return lc_error_sys(err, "socketpair");
    /* Beyond the system's limit for root; else as much as it allows. */
    if (setsockopt(ends[LC_PASSING_GIVE], SOL_SOCKET, SO_SNDBUFFORCE, &room,
                   sizeof(room)) < 0)
        setsockopt(ends[LC_PASSING_GIVE], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return 0;
}

int lc_passing_send(int end, const void *note, size_t len, int fd)
{
    return lc_channel_send_fd(end, LC_MSG_CONNECTION, 0, note, len, fd);
}

/* Without room for the descriptor the kernel would throw it away. */
static bool has_room(int end)
{
    int spare = fcntl(end, F_DUPFD_CLOEXEC, 0);

    if (spare >= 0)
        close(spare);
    return spare >= 0;
}

ssize_t lc_passing_receive(int end, void *note, size_t room, int *fd)
{
    struct lc_msg_head head;

    if (!has_room(end))
        return -1;
    ssize_t len = lc_channel_receive_fd(end, &head, note, room, fd);
    if (len < 0 || (*fd >= 0 && head.type == LC_MSG_CONNECTION))
        return len;
    lc_fd_close(fd);
    errno = EBADMSG;
    return -1;
}

bool lc_passing_is_empty(int end)
{
    struct pollfd at = {.fd = end, .events = POLLIN};

    return poll(&at, 1, 0) <= 0;
}
