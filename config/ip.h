/* config/ip.h — IP addresses as texts of others have them: read strictly, written in one form. */
#pragma once
#include <licorne/slice.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct lc_networks;

struct lc_ip {
    int family;        /* AF_INET, AF_INET6 */
    uint8_t bytes[16]; /* 4 of them for AF_INET */
};

/* IPv4 is four decimal numbers without leading zeros; IPv6 any of its text forms, without
 * brackets, zone or port. An IPv4 address in IPv6's clothes (::ffff:192.0.2.1, and the older
 * ::192.0.2.1) is the IPv4 address. False: it is none. */
bool lc_ip_read(struct lc_slice text, struct lc_ip *ip);

/* Dotted decimal, or the shortest lower-case form. */
void lc_ip_text(const struct lc_ip *ip, char text[INET6_ADDRSTRLEN]);

bool lc_networks_contain_ip(const struct lc_networks *networks, const struct lc_ip *ip);
