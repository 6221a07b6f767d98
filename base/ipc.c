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

/* Room for one descriptor beside a message. */
union passage {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

int lc_channel_send_fd(int fd, enum lc_msg_type type, uint16_t generation,
                       const void *payload, size_t length, int passed)
{
    struct lc_msg_head head = {(uint32_t)length, (uint16_t)type, generation};
    struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length == 0 ? 1 : 2};
    union passage passage = {{0}};

    if (passed >= 0) {
        message.msg_control = passage.bytes;
        message.msg_controllen = sizeof(passage.bytes);
        struct cmsghdr *control = CMSG_FIRSTHDR(&message);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(control), &passed, sizeof(int));
    }
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

int lc_channel_send(int fd, enum lc_msg_type type, uint16_t generation,
                    const void *payload, size_t length)
{
    return lc_channel_send_fd(fd, type, generation, payload, length, -1);
}

/* Beside a message there may be one: others would be nobody's. */
static int take_passed(struct msghdr *message)
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(message);
    int passed[sizeof(union passage) / sizeof(int)];

    if (control == NULL || control->cmsg_level != SOL_SOCKET ||
        control->cmsg_type != SCM_RIGHTS)
        return -1;
    size_t bytes = control->cmsg_len - CMSG_LEN(0);
    memcpy(passed, CMSG_DATA(control), bytes);
    if (bytes == sizeof(int) && (message->msg_flags & MSG_CTRUNC) == 0)
        return passed[0];
    for (size_t i = 0; i < bytes / sizeof(int); i++)
        lc_fd_close(&passed[i]);
    return -1;
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
    if (passed != NULL) {
        *passed = -1;
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
        *passed = take_passed(&message);
    if ((message.msg_flags & MSG_TRUNC) || (size_t)n < sizeof(*head) ||
        (size_t)n - sizeof(*head) != head->length) {
        if (passed != NULL)
            lc_fd_close(passed);
        errno = EBADMSG;
        return -1;
    }
    return n - (ssize_t)sizeof(*head);
}

ssize_t lc_channel_receive(int fd, struct lc_msg_head *head, void *buffer, size_t size)
{
    return receive(fd, head, buffer, size, 0, NULL);
}

ssize_t lc_channel_receive_fd(int fd, struct lc_msg_head *head, void *buffer, size_t size,
                              int *passed)
{
    return receive(fd, head, buffer, size, 0, passed);
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
