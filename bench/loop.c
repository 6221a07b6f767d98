/* bench/loop.c — a bare epoll loop that answers each read with the same response.
 *
 * It understands nothing: whatever arrives in one read counts as one request. It shows what the
 * kernel alone costs on this machine. Usage: bench-loop PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Server: loop\r\n"
                             "Date: Sat, 21 Nov 2026 07:48:31 GMT\r\n"
                             "Connection: keep-alive\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 14\r\n"
                             "\r\n"
                             "Hello, world!\n";

static void die_unless(int is_good, const char *what)
{
    if (!is_good) {
        perror(what);
        exit(1);
    }
}

static int listen_on(in_port_t port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    die_unless(fd >= 0, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted connections inherit it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    die_unless(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    die_unless(listen(fd, 2048) == 0, "listen");
    return fd;
}

static void watch(int loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    die_unless(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_all(int loop, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(loop, fd);
}

static void serve(int fd)
{
    static char request[65536];
    ssize_t n = read(fd, request, sizeof(request));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || write(fd, answer, sizeof(answer) - 1) != sizeof(answer) - 1)
        close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: bench-loop PORT\n", stderr);
        return 2;
    }

    int listener = listen_on((in_port_t)strtoul(argv[1], NULL, 10));
    int loop = epoll_create1(EPOLL_CLOEXEC);

    die_unless(loop >= 0, "epoll_create1");
    watch(loop, listener);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(loop, events, 64, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(loop, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
