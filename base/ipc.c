#include "base/ipc.h"

#include "base/fd.h"

#include <licorne/error.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int lc_channel_pair(int ends[2], struct lc_error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return lc_error_sys(err, "socketpair");
    if (lc_fd_set_nonblocking(ends[0]) < 0) {
        lc_error_sys(err, "fcntl");
        lc_fd_close(&ends[0]);
        lc_fd_close(&ends[1]);
        return -1;
    }
    return 0;
}

/* Room for descriptors beside a message. */
union passage {
    char bytes[CMSG_SPACE(LC_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

static void attach(struct msghdr *message, union passage *passage, const int *passed,
                   unsigned count)
{
    if (count == 0)
        return;
    message->msg_control = passage->bytes;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(control), passed, count * sizeof(int));
}

int lc_channel_send_fds(int fd, enum lc_msg_type type, uint16_t generation,
                        const void *payload, size_t length, const int *passed,
                        unsigned count)
{
    struct lc_msg_head head = {(uint32_t)length, (uint16_t)type, generation};
    struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length == 0 ? 1 : 2};
    union passage passage = {{0}};

    attach(&message, &passage, passed, count);
    if (length > LC_MSG_MAX - sizeof(head)) {
        errno = EMSGSIZE;
        return -1;
    }
    ssize_t n;
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

int lc_channel_send_fd(int fd, enum lc_msg_type type, uint16_t generation,
                       const void *payload, size_t length, int passed)
{
    return lc_channel_send_fds(fd, type, generation, payload, length, &passed, 1);
}

int lc_channel_send(int fd, enum lc_msg_type type, uint16_t generation,
                    const void *payload, size_t length)
{
    return lc_channel_send_fds(fd, type, generation, payload, length, NULL, 0);
}

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lc_fd_close(&fds[i]);
}

/* More than so many would be nobody's: then it is none at all. */
static void take_passed(struct msghdr *message, int passed[LC_FDS_MAX])
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(message);
    int fds[sizeof(union passage) / sizeof(int)];

    if (control == NULL || control->cmsg_level != SOL_SOCKET ||
        control->cmsg_type != SCM_RIGHTS)
        return;
    size_t bytes = control->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(control), bytes);
    if (bytes > LC_FDS_MAX * sizeof(int) || (message->msg_flags & MSG_CTRUNC))
        close_all(fds, bytes / sizeof(int));
    else
        memcpy(passed, fds, bytes);
}

/* Descriptors are not wanted when `passed` is NULL: the kernel then closes them. */
static ssize_t receive(int fd, struct lc_msg_head *head, void *buffer, size_t size,
                       int flags, int *passed)
{
    union passage passage;
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;

    *head = (struct lc_msg_head){0};
    parts[0] = (struct iovec){head, sizeof(*head)};
    parts[1] = (struct iovec){buffer, size};
    for (int i = 0; passed != NULL && i < LC_FDS_MAX; i++)
        passed[i] = -1;
    if (passed != NULL) {
        message.msg_control = passage.bytes;
        message.msg_controllen = sizeof(passage.bytes);
    }

    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | flags);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == ECONNRESET)
            errno = EPIPE;
        return -1;
    }
    if (n == 0) {
        errno = EPIPE;
        return -1;
    }
    if (passed != NULL)
        take_passed(&message, passed);
    if ((message.msg_flags & MSG_TRUNC) || (size_t)n < sizeof(*head) ||
        (size_t)n - sizeof(*head) != head->length) {
        if (passed != NULL)
            close_all(passed, LC_FDS_MAX);
        errno = EBADMSG;
        return -1;
    }
    return n - (ssize_t)sizeof(*head);
}

ssize_t lc_channel_receive(int fd, struct lc_msg_head *head, void *buffer, size_t size)
{
    return receive(fd, head, buffer, size, 0, NULL);
}

ssize_t lc_channel_receive_fds(int fd, struct lc_msg_head *head, void *buffer,
                               size_t size, int passed[LC_FDS_MAX])
{
    return receive(fd, head, buffer, size, 0, passed);
}

ssize_t lc_channel_receive_fd(int fd, struct lc_msg_head *head, void *buffer, size_t size,
                              int *passed)
{
    int fds[LC_FDS_MAX];
    ssize_t n = receive(fd, head, buffer, size, 0, fds);

    if (fds[1] >= 0)
        close_all(fds, LC_FDS_MAX);
    *passed = fds[0];
    return n;
}

ssize_t lc_channel_peek(int fd, struct lc_msg_head *head, void *buffer, size_t size)
{
    return receive(fd, head, buffer, size, MSG_PEEK, NULL);
}

void lc_channel_discard(int fd)
{
    while (recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) < 0 && errno == EINTR)
        continue;
}
