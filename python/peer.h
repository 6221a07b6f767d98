/* python/peer.h — the str of a connection's two ends, made once for all of its requests. */
#pragma once
#include "python/api.h"

struct lc_request;

struct lc_peer {
    PyObject *remote_addr, *remote_port; /* port: NULL on unix sockets */
    PyObject *server_name, *server_port; /* NULL on unix sockets: the Host field tells */
    PyObject *proxy_protocol;            /* NULL where no proxy announced the client */
    PyObject *proxy_addr, *proxy_port;   /* NULL where it named none                 */
    PyObject *socket;                    /* gunicorn.socket                          */
    struct lc_peer *next;                /* among those whose connections have closed */
};

/* Kept with the request's connection. NULL with an exception. */
const struct lc_peer *lc_peer_of(struct lc_request *request);

/* Lets go of the str of closed connections. Python's lock is held. */
void lc_peers_sweep(void);
