/* worker/proxy.h — the PROXY protocol, versions 1 and 2: a proxy that speaks it begins a connection by
 * announcing whom it speaks for (haproxy's doc/proxy-protocol.txt).
 *
 * The header is optional: a connection that begins in another way is plain HTTP. */
#pragma once
#include <licorne/slice.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct lc_fault;

enum { LC_PROXY_V1 = 1, LC_PROXY_V2 = 2 };

enum lc_proxy_result {
    LC_PROXY_MORE, /* it may become a header, or is an incomplete one */
    LC_PROXY_NONE, /* something else; nothing is used                 */
    LC_PROXY_DONE, /* `*used` bytes of header were read               */
    LC_PROXY_FAIL, /* `fault` says why                                */
};

/* What was announced. No pointers, so that it can go with a connection to another process. */
struct lc_proxy {
    char protocol[8];   /* "TCP4", "TCP6", "LOCAL", "UNSPEC"                       */
    bool has_addresses; /* TCP4 and TCP6; else the socket's own addresses hold good */
    char remote_addr[INET6_ADDRSTRLEN];
    char remote_port[sizeof("65535")];
    char proxy_addr[INET6_ADDRSTRLEN]; /* where the client connected to */
    char proxy_port[sizeof("65535")];
};

/* Looks at all bytes of a connection so far, at least one. `versions` are those that count.
 * Whatever the peer may not send is a fault as soon as it can be told apart: `peer` names it in
 * the log. */
enum lc_proxy_result lc_proxy_read(struct lc_slice bytes, unsigned versions,
                                   bool is_allowed, const char *peer, size_t *used,
                                   struct lc_proxy *proxy, struct lc_fault *fault);
