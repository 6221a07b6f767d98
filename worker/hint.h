/* worker/hint.h — what an administrator may want to know, said once. */
#pragma once

struct lc_conn;

/* With a connection's first request: whether it comes from a proxy that will be cut off. */
void lc_hint_at_keepalive(const struct lc_conn *conn);
