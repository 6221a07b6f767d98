/* worker/greeting.h — what may stand on a connection before its first request: a proxy's word on whom
 * it speaks for. It holds good for all requests of the connection. */
#pragma once
#include "worker/proxy.h"

#include <licorne/slice.h>

struct lc_conn;
struct lc_fault;

/* All bytes of an ungreeted connection so far; `input` is shortened by those that were a greeting. */
enum lc_proxy_result lc_greeting_read(struct lc_conn *conn, struct lc_slice *input,
                                      struct lc_fault *fault);

/* The same for a connection that comes from a sibling, where it was greeted. */
void lc_greeting_announce(struct lc_conn *conn, const struct lc_proxy *proxy);
