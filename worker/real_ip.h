/* worker/real_ip.h — real_ip_header: who a request comes from, when a trusted proxy says so. */
#pragma once

struct lc_conn;

/* The head of the connection's request is complete. If whoever is connected may speak for others and
 * names somebody, the request's endpoints are its own from here on. */
void lc_real_ip_find(struct lc_conn *conn);
