#include "worker/ready.h"

#include "worker/conn.h"
#include "worker/lend.h"
#include "worker/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

/* The kernel's clock for such things goes by ticks. What it counts may be too much by one. */
static uint64_t tick_us(void)
{
    static uint64_t tick;
    struct timespec resolution;

    if (tick == 0 && clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) == 0)
        tick = (uint64_t)resolution.tv_nsec / 1000 + 1;
    return tick;
}

/* 0 where nobody knows: on a Unix socket. */
static uint64_t since_last_byte(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    uint64_t us = (uint64_t)info.tcpi_last_data_recv * 1000;
    return us > tick_us() ? us - tick_us() : 0;
}

static bool may_have_waited(const struct lc_conn *conn)
{
    const struct lc_server *server = conn->server;

    return conn->has_waited || server->slow_memory > 0 ||
           (server->lender != NULL && lc_lender_is_slow(server->lender));
}

uint64_t lc_ready_since(struct lc_conn *conn)
{
    struct lc_server *server = conn->server;

    if (!atomic_load_explicit(&server->is_awake, memory_order_relaxed))
        lc_server_start_call(server); /* the last piece of a body has woken the loop */
    if (!may_have_waited(conn))
        return server->turn_us;

    uint64_t waited = since_last_byte(conn->wire.fd);
    conn->has_waited = false;
    return server->now_us - server->turn_us < waited ? server->now_us - waited
                                                     : server->turn_us;
}
