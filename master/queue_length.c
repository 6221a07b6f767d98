#include "master/queue_length.h"

#include "base/fd.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a listening TCP socket these two fields have another meaning than their names. */
static bool ask_tcp(int fd, struct lc_queue_length *length)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return false;
    length->waiting = info.tcpi_unacked;
    length->limit = info.tcpi_sacked;
    return true;
}

/* ---- Unix sockets: sock_diag(7) ---- */

struct question {
    struct nlmsghdr head;
    struct unix_diag_req request;
};

static bool send_question(int diag, ino_t inode)
{
    struct question question = {
        .head = {.nlmsg_len = sizeof(question),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = UINT32_MAX,
                    .udiag_ino = (uint32_t)inode,
                    .udiag_show = UDIAG_SHOW_RQLEN,
                    .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
    };

    return send(diag, &question, sizeof(question), MSG_DONTWAIT) ==
           (ssize_t)sizeof(question);
}

static bool find_length(const struct nlmsghdr *head, struct lc_queue_length *length)
{
    const struct unix_diag_msg *message = NLMSG_DATA(head);
    const struct rtattr *at = (const struct rtattr *)(message + 1);
    unsigned left = head->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(*message));

    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        struct unix_diag_rqlen found;

        if (at->rta_type != UNIX_DIAG_RQLEN || RTA_PAYLOAD(at) < sizeof(found))
            continue;
        memcpy(&found, RTA_DATA(at), sizeof(found));
        length->waiting = found.udiag_rqueue;
        length->limit = found.udiag_wqueue;
        return true;
    }
    return false;
}

static bool read_answer(int diag, struct lc_queue_length *length)
{
    _Alignas(struct nlmsghdr) char buffer[1024];
    ssize_t len = recv(diag, buffer, sizeof(buffer), MSG_DONTWAIT);
    const struct nlmsghdr *head = (const struct nlmsghdr *)buffer;

    return len > 0 && NLMSG_OK(head, (size_t)len) &&
           head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
           head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct unix_diag_msg)) &&
           find_length(head, length);
}

/* The kernel answers before `send` returns: nobody waits. */
static bool ask_unix(int fd, struct lc_queue_length *length)
{
    struct stat about;
    LC_AUTOCLOSE int diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
                                   NETLINK_SOCK_DIAG);

    return diag >= 0 && fstat(fd, &about) == 0 && send_question(diag, about.st_ino) &&
           read_answer(diag, length);
}

bool lc_queue_length(int fd, bool is_unix, struct lc_queue_length *length)
{
    return is_unix ? ask_unix(fd, length) : ask_tcp(fd, length);
}
