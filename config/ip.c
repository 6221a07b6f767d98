#include "config/ip.h"

#include "config/networks.h"

#include <arpa/inet.h>
#include <string.h>

enum { LOOPBACK = 1 };

/* ::ffff:a.b.c.d, or ::a.b.c.d but for :: and ::1. */
static bool is_ipv4_within(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, compatible[12];
    static const uint8_t nobody[4], self[4] = {0, 0, 0, LOOPBACK};

    if (memcmp(bytes, mapped, 12) == 0)
        return true;
    return memcmp(bytes, compatible, 12) == 0 && memcmp(bytes + 12, nobody, 4) != 0 &&
           memcmp(bytes + 12, self, 4) != 0;
}

static void fold(struct lc_ip *ip)
{
    if (ip->family != AF_INET6 || !is_ipv4_within(ip->bytes))
        return;
    ip->family = AF_INET;
    memmove(ip->bytes, ip->bytes + 12, 4);
    memset(ip->bytes + 4, 0, 12);
}

bool lc_ip_read(struct lc_slice text, struct lc_ip *ip)
{
    char copy[INET6_ADDRSTRLEN];

    *ip = (struct lc_ip){0};
    if (text.len == 0 || text.len >= sizeof(copy) ||
        memchr(text.at, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    ip->family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(ip->family, copy, ip->bytes) != 1)
        return false;
    fold(ip);
    return true;
}

void lc_ip_text(const struct lc_ip *ip, char text[INET6_ADDRSTRLEN])
{
    inet_ntop(ip->family, ip->bytes, text, INET6_ADDRSTRLEN);
}

bool lc_networks_contain_ip(const struct lc_networks *networks, const struct lc_ip *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (ip->family == AF_INET) {
        memcpy(&in.sin_addr, ip->bytes, sizeof(in.sin_addr));
        return lc_networks_contain(networks, (const struct sockaddr *)&in);
    }
    memcpy(&in6.sin6_addr, ip->bytes, sizeof(in6.sin6_addr));
    return lc_networks_contain(networks, (const struct sockaddr *)&in6);
}
