#include "worker/real_ip.h"

#include "app/forwarded.h"
#include "config/config.h"
#include "config/networks.h"
#include "worker/conn.h"
#include "worker/server.h"

#include <licorne/log.h>

#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 60 };

/* By the PROXY protocol a proxy may have said that another one has connected to it. Then it is that
 * one's word. */
static bool may_speak_for_others(const struct lc_conn *conn)
{
    struct lc_ip ip;

    if (conn->announced == NULL || !conn->announced->has_addresses)
        return conn->is_trusted;
    return lc_ip_read(lc_slice(conn->announced->remote_addr), &ip) &&
           lc_networks_contain_ip(&conn->server->rules.forwarders, &ip);
}

static void complain(struct lc_conn *conn, struct lc_slice name,
                     const struct lc_node *bad)
{
    char shown[SHOWN_MAX + 1];
    size_t len = bad->text.len < SHOWN_MAX ? bad->text.len : SHOWN_MAX;

    if (conn->server->has_told_of_nonsense)
        return;
    conn->server->has_told_of_nonsense = true;
    for (size_t i = 0; i < len; i++) {
        char c = bad->text.at[i];

        shown[i] = c >= ' ' && c < 0x7f ? c : '?';
    }
    shown[len] = '\0';
    lc_log(LC_WARN,
           "%.*s of %s: '%s' is no address; the nearest one that is known is taken for "
           "the client's (this is said once)",
           LC_ARG(name),
           conn->endpoints.is_unix ? "a unix socket" : conn->endpoints.remote_addr,
           shown);
}

static void take(struct lc_conn *conn, const struct lc_node *client)
{
    struct lc_request *request = &conn->exchange->request;
    struct lc_endpoints *own = lc_arena_alloc(&request->arena, sizeof(*own));
    char text[INET6_ADDRSTRLEN];

    lc_ip_text(&client->ip, text);
    *own = conn->endpoints;
    own->peer_addr = conn->endpoints.remote_addr;
    own->peer_port = conn->endpoints.remote_port;
    own->remote_addr = lc_arena_strndup(&request->arena, text, strlen(text));
    own->remote_port = *client->port == '\0'
                           ? NULL
                           : lc_arena_strndup(&request->arena, client->port,
                                              strlen(client->port));
    request->endpoints = own;
}

void lc_real_ip_find(struct lc_conn *conn)
{
    const struct lc_rules *rules = &conn->server->rules;
    const struct lc_request *request = &conn->exchange->request;
    struct lc_node nodes[LC_FORWARDED_MAX];
    const struct lc_node *client, *bad;

    if (!may_speak_for_others(conn))
        return;
    size_t count = rules->read_forwarded(request->headers, request->header_count,
                                         rules->real_ip_header, nodes);
    client = lc_forwarded_client(nodes, count, &rules->forwarders, &bad);
    if (bad != NULL)
        complain(conn, rules->real_ip_header, bad);
    if (client != NULL)
        take(conn, client);
}
