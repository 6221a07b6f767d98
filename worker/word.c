#include "worker/word.h"

#include "base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union passage {
    struct cmsghdr first; /* aligns the bytes */
    char bytes[CMSG_SPACE(sizeof(int))];
};

static bool send_once(int end, char byte)
{
    struct iovec part = {&byte, 1};
    union passage passage = {{0}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = passage.bytes,
                             .msg_controllen = sizeof(passage.bytes)};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    ssize_t n;

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(control), &end, sizeof(int));
    do
        n = sendmsg(end, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* The answer may have filled the socket: then this byte gets some room of its own. */
static bool make_room(int end)
{
    int room;
    socklen_t size = sizeof(room);

    if (getsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, &size) < 0)
        return false;
    return setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, size) == 0; /* it doubles this */
}

bool lc_word_send(int end, enum lc_word word)
{
    if (send_once(end, (char)word))
        return true;
    return errno == EAGAIN && make_room(end) && send_once(end, (char)word);
}

/* -1: none came. */
static int take_descriptor(struct msghdr *message)
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(message);
    int fd;

    if (control == NULL || control->cmsg_level != SOL_SOCKET ||
        control->cmsg_type != SCM_RIGHTS || control->cmsg_len != CMSG_LEN(sizeof(int)))
        return -1;
    memcpy(&fd, CMSG_DATA(control), sizeof(int));
    return fd;
}

/* Without room for the descriptor the kernel throws it away, but tells that there was one. */
static bool has_word(const struct msghdr *message, int fd)
{
    return fd >= 0 || (message->msg_flags & MSG_CTRUNC) != 0;
}

static void hear(char byte, int fd, struct lc_heard *heard)
{
    if (byte == LC_WORD_BACK && fd >= 0) {
        *heard = (struct lc_heard){.word = LC_WORD_BACK, .end = fd};
        return;
    }
    lc_fd_close(&fd);
    if (byte == LC_WORD_GOODBYE)
        heard->word = LC_WORD_GOODBYE;
}

ssize_t lc_word_receive(int end, void *into, size_t room, struct lc_heard *heard)
{
    struct iovec part = {into, room};
    union passage passage;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = passage.bytes,
                             .msg_controllen = sizeof(passage.bytes)};
    ssize_t n;

    *heard = (struct lc_heard){.word = LC_WORD_NONE, .end = -1};
    do
        n = recvmsg(end, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    int fd = take_descriptor(&message);
    if (!has_word(&message, fd))
        return n;
    hear(((const char *)into)[n - 1], fd, heard);
    return n - 1;
}
