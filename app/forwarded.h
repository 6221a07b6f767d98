/* app/forwarded.h — the chain of addresses that proxies put into a header field, each adding whom it
 * was asked by: X-Forwarded-For and its like, or Forwarded (RFC 7239).
 *
 * What stands at the right end was written by the proxy that is known; what stands left of it is
 * as good as the word of whoever wrote that. So a chain is read from its right end. */
#pragma once
#include "config/ip.h"

#include <licorne/request.h>
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>

enum { LC_FORWARDED_MAX = 32 }; /* longer chains are read so far */

enum lc_node_kind {
    LC_NODE_ADDRESS,
    LC_NODE_HIDDEN,  /* "unknown", "_hidden": its writer does not tell    */
    LC_NODE_NONSENSE /* and whatever stands left of it is nothing, either */
};

struct lc_node {
    enum lc_node_kind kind;
    struct lc_ip ip;
    char port[sizeof("65535")]; /* "" if none was given    */
    struct lc_slice text;       /* as it came; of nonsense */
};

/* Both read all fields of this name; `nodes` begins with the right end of the chain. How many there
 * are; 0: no such field, or nothing in it. */
typedef size_t (*lc_forwarded_fn)(const struct lc_header *headers, size_t count,
                                  struct lc_slice name,
                                  struct lc_node nodes[LC_FORWARDED_MAX]);
size_t lc_forwarded_list(const struct lc_header *headers, size_t count,
                         struct lc_slice name, struct lc_node nodes[LC_FORWARDED_MAX]);
size_t lc_forwarded_rfc7239(const struct lc_header *headers, size_t count,
                            struct lc_slice name, struct lc_node nodes[LC_FORWARDED_MAX]);

/* The client that a chain names, when the word of whoever handed it over counts: the first from the
 * right that is not itself one of `proxies`, or where the chain ends. NULL: it names nobody. `*bad` is
 * the nonsense that was come across, else NULL. */
const struct lc_node *lc_forwarded_client(const struct lc_node *nodes, size_t count,
                                          const struct lc_networks *proxies,
                                          const struct lc_node **bad);
