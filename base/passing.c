#include "base/passing.h"

#include "base/fd.h"
#include "base/ipc.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

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

int lc_passing_send(int end, const void *note, size_t len, const struct lc_passed *passed)
{
    const int fds[LC_FDS_MAX] = {passed->conn, passed->file};

    return lc_channel_send_fds(end, LC_MSG_CONNECTION, 0, note, len, fds,
                               passed->file < 0 ? 1 : 2);
}

/* Without room for the descriptors the kernel would throw them away. */
static bool has_room(int end)
{
    int spare[LC_FDS_MAX];
    bool has_room = true;

    for (int i = 0; i < LC_FDS_MAX; i++) {
        spare[i] = fcntl(end, F_DUPFD_CLOEXEC, 0);
        has_room &= spare[i] >= 0;
    }
    for (int i = 0; i < LC_FDS_MAX; i++)
        lc_fd_close(&spare[i]);
    return has_room;
}

ssize_t lc_passing_receive(int end, void *note, size_t room, struct lc_passed *passed)
{
    struct lc_msg_head head;
    int fds[LC_FDS_MAX];

    if (!has_room(end))
        return -1;
    ssize_t len = lc_channel_receive_fds(end, &head, note, room, fds);
    *passed = (struct lc_passed){fds[0], fds[1]};
    if (len < 0 || (fds[0] >= 0 && head.type == LC_MSG_CONNECTION))
        return len;
    lc_fd_close(&passed->conn);
    lc_fd_close(&passed->file);
    errno = EBADMSG;
    return -1;
}

bool lc_passing_is_empty(int end)
{
    struct pollfd at = {.fd = end, .events = POLLIN};

    return poll(&at, 1, 0) <= 0;
}
