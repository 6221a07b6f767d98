#include "worker/greeting.h"

#include "base/mem.h"
#include "worker/conn.h"

/* Whom the application and the log see. Whether the peer is trusted remains a question of who it
 * is, not of what it says. */
void lc_greeting_announce(struct lc_conn *conn, const struct lc_proxy *proxy)
{
    struct lc_endpoints *ends = &conn->endpoints;

    conn->announced = lc_new(struct lc_proxy);
    *conn->announced = *proxy;
    ends->proxy_protocol = conn->announced->protocol;
    if (!proxy->has_addresses)
        return;
    ends->remote_addr = conn->announced->remote_addr;
    ends->remote_port = conn->announced->remote_port;
    ends->proxy_addr = conn->announced->proxy_addr;
    ends->proxy_port = conn->announced->proxy_port;
}

enum lc_proxy_result lc_greeting_read(struct lc_conn *conn, struct lc_slice *input,
                                      struct lc_fault *fault)
{
    struct lc_proxy proxy;
    size_t used;
    enum lc_proxy_result result = lc_proxy_read(
        *input, conn->server->rules.proxy_versions, conn->may_announce, conn->remote_addr,
        &used, &proxy, fault);

    input->at += used;
    input->len -= used;
    if (result == LC_PROXY_DONE)
        lc_greeting_announce(conn, &proxy);
    conn->is_greeted = result == LC_PROXY_DONE || result == LC_PROXY_NONE;
    return result;
}
