#include "worker/proxy.h"

#include "worker/fault.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct lc_slice v1_start = LC_SLICE("PROXY ");
static const struct lc_slice v2_start = LC_SLICE("\r\n\r\n\0\r\nQUIT\n");

enum {
    V1_MAX = 107, /* the longest line with its CRLF: section 2.1 */
    V1_FIELDS = 6,
    V2_HEAD = 16, /* signature, version and command, family, length: section 2.2 */
    V2_INET = 12,
    V2_INET6 = 36,
};

/* --- version 1: one line of text ------------------------------------------------------------ */

static enum lc_proxy_result bad_line(struct lc_fault *fault, struct lc_slice line)
{
    lc_fault_bad(fault, "Invalid PROXY line: %s", line);
    lc_fault_lead(fault, "");
    return LC_PROXY_FAIL;
}

static bool take_address(struct lc_slice field, int family, char *out)
{
    char binary[sizeof(struct in6_addr)];

    if (field.len >= INET6_ADDRSTRLEN || memchr(field.at, '\0', field.len) != NULL)
        return false;
    memcpy(out, field.at, field.len);
    out[field.len] = '\0';
    return inet_pton(family, out, binary) == 1;
}

static bool take_port(struct lc_slice field, char *out)
{
    unsigned port = 0;

    if (field.len < 1 || field.len > 5)
        return false;
    for (size_t i = 0; i < field.len; i++) {
        if (field.at[i] < '0' || field.at[i] > '9')
            return false;
        port = port * 10 + (unsigned)(field.at[i] - '0');
    }
    snprintf(out, sizeof("65535"), "%u", port);
    return port <= UINT16_MAX;
}

/* The parts between single blanks; how many there are, or one too many. */
static size_t split(struct lc_slice line, struct lc_slice fields[V1_FIELDS])
{
    const char *end = line.at + line.len;

    for (size_t n = 0;;) {
        const char *blank = memchr(line.at, ' ', line.len);

        if (n == V1_FIELDS)
            return n + 1;
        fields[n++] = (struct lc_slice){
            line.at, (size_t)((blank != NULL ? blank : end) - line.at)};
        if (blank == NULL)
            return n;
        line = (struct lc_slice){blank + 1, (size_t)(end - blank - 1)};
    }
}

static bool take_line(struct lc_slice line, struct lc_proxy *proxy)
{
    struct lc_slice fields[V1_FIELDS];

    if (split(line, fields) != V1_FIELDS)
        return false;
    bool is_v6 = lc_slice_equals(fields[1], LC_SLICE("TCP6"));
    int family = is_v6 ? AF_INET6 : AF_INET;
    if (!is_v6 && !lc_slice_equals(fields[1], LC_SLICE("TCP4")))
        return false;
    memcpy(proxy->protocol, is_v6 ? "TCP6" : "TCP4", sizeof("TCP4"));
    proxy->has_addresses = true;
    return take_address(fields[2], family, proxy->remote_addr) &&
           take_address(fields[3], family, proxy->proxy_addr) &&
           take_port(fields[4], proxy->remote_port) &&
           take_port(fields[5], proxy->proxy_port);
}

static enum lc_proxy_result read_v1(struct lc_slice bytes, size_t *used,
                                    struct lc_proxy *proxy, struct lc_fault *fault)
{
    size_t within = bytes.len < V1_MAX ? bytes.len : V1_MAX;
    const char *end = memmem(bytes.at, within, "\r\n", 2);

    if (end == NULL) {
        if (within < V1_MAX)
            return LC_PROXY_MORE;
        return bad_line(fault, (struct lc_slice){bytes.at, V1_MAX});
    }
    struct lc_slice line = {bytes.at, (size_t)(end - bytes.at)};
    if (!take_line(line, proxy))
        return bad_line(fault, line);
    *used = line.len + 2;
    return LC_PROXY_DONE;
}

/* --- version 2: binary ------------------------------------------------------------------------ */

static enum lc_proxy_result bad_header(struct lc_fault *fault, const char *what,
                                       unsigned value)
{
    lc_fault_set(fault, 400, "Bad Request", "Invalid PROXY header: %s %u", what, value);
    lc_fault_lead(fault, "");
    return LC_PROXY_FAIL;
}

static void name(struct lc_proxy *proxy, const char *protocol)
{
    snprintf(proxy->protocol, sizeof(proxy->protocol), "%s", protocol);
}

static void print_port(const char *at, char *out)
{
    unsigned port = (unsigned)(unsigned char)at[0] << 8 | (unsigned char)at[1];

    snprintf(out, sizeof("65535"), "%u", port);
}

/* Two addresses, then two ports. */
static void take_addresses(struct lc_proxy *proxy, const char *at, int family)
{
    size_t len = family == AF_INET ? 4 : 16;

    inet_ntop(family, at, proxy->remote_addr, sizeof(proxy->remote_addr));
    inet_ntop(family, at + len, proxy->proxy_addr, sizeof(proxy->proxy_addr));
    print_port(at + 2 * len, proxy->remote_port);
    print_port(at + 2 * len + 2, proxy->proxy_port);
    proxy->has_addresses = true;
}

static enum lc_proxy_result check_v2(const unsigned char *head, size_t length,
                                     struct lc_fault *fault)
{
    unsigned version = head[12] >> 4, command = head[12] & 15u;
    unsigned family = head[13] >> 4, transport = head[13] & 15u;

    if (version != 2)
        return bad_header(fault, "unsupported version", version);
    if (command > 1)
        return bad_header(fault, "unsupported command", command);
    if (command == 0)
        return LC_PROXY_DONE;
    if (transport != 1)
        return bad_header(fault, "unsupported transport", transport);
    if (family > 2)
        return bad_header(fault, "unsupported address family", family);
    if (length < (family == 1 ? V2_INET : family == 2 ? V2_INET6 : 0))
        return bad_header(fault, "too short for its addresses:", (unsigned)length);
    return LC_PROXY_DONE;
}

static enum lc_proxy_result read_v2(struct lc_slice bytes, size_t *used,
                                    struct lc_proxy *proxy, struct lc_fault *fault)
{
    const unsigned char *head = (const unsigned char *)bytes.at;

    if (bytes.len < V2_HEAD)
        return LC_PROXY_MORE;
    size_t length = (size_t)head[14] << 8 | head[15];
    if (check_v2(head, length, fault) == LC_PROXY_FAIL)
        return LC_PROXY_FAIL;
    if (bytes.len < V2_HEAD + length)
        return LC_PROXY_MORE;
    *used = V2_HEAD + length;
    if ((head[12] & 15) == 0) { /* the proxy speaks for itself: a health check */
        name(proxy, "LOCAL");
        return LC_PROXY_DONE;
    }
    switch (head[13] >> 4) {
    case 1:
        name(proxy, "TCP4");
        take_addresses(proxy, bytes.at + V2_HEAD, AF_INET);
        break;
    case 2:
        name(proxy, "TCP6");
        take_addresses(proxy, bytes.at + V2_HEAD, AF_INET6);
        break;
    default: name(proxy, "UNSPEC"); break;
    }
    return LC_PROXY_DONE;
}

/* --- which of them ------------------------------------------------------------------------------ */

static bool agree(struct lc_slice bytes, struct lc_slice start)
{
    size_t n = bytes.len < start.len ? bytes.len : start.len;

    return memcmp(bytes.at, start.at, n) == 0;
}

enum lc_proxy_result lc_proxy_read(struct lc_slice bytes, unsigned versions,
                                   bool is_allowed, const char *peer, size_t *used,
                                   struct lc_proxy *proxy, struct lc_fault *fault)
{
    bool is_v1 = (versions & LC_PROXY_V1) != 0 && agree(bytes, v1_start);
    bool is_v2 = (versions & LC_PROXY_V2) != 0 && agree(bytes, v2_start);

    *used = 0;
    memset(proxy, 0, sizeof(*proxy));
    if (!is_v1 && !is_v2)
        return LC_PROXY_NONE;
    if (bytes.len < (is_v1 ? v1_start.len : v2_start.len))
        return LC_PROXY_MORE;
    if (!is_allowed) {
        lc_fault_set(fault, 403, "Forbidden", "Proxy request from '%s' not allowed",
                     peer);
        lc_fault_page(fault, "Request forbidden");
        return LC_PROXY_FAIL;
    }
    return is_v1 ? read_v1(bytes, used, proxy, fault)
                 : read_v2(bytes, used, proxy, fault);
}
