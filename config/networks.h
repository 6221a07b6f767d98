/* config/networks.h — the addresses and networks that a setting names: whose word counts.
 *
 * "127.0.0.1, 10.0.0.0/8, ::1, 2001:db8::/32" or "*" for everybody. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct lc_error;
struct lc_network;

struct lc_networks {
    struct lc_network *items;
    size_t count;
    bool is_everybody;
};

/* Reads a comma separated list. A network whose address has bits beyond its length is refused,
 * for it is not clear what was meant. 0, or -1 with `err` (LC_E_CONFIG); `out` is empty then. */
int lc_networks_parse(const char *text, struct lc_networks *out, struct lc_error *err);
void lc_networks_clear(struct lc_networks *networks);

/* An IPv4 address that came by an IPv6 socket (::ffff:10.0.0.1) is in the networks of both kinds.
 * The peer of a unix socket is always in: whom the socket's file lets in has been chosen. */
bool lc_networks_contain(const struct lc_networks *networks, const struct sockaddr *peer);
