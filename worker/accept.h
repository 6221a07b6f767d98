/* worker/accept.h — takes connections off the listening sockets, which all workers share. */
#pragma once
#include <stdbool.h>

struct lc_error;
struct lc_server;

/* Starts accepting on every listener. 0, or -1 with `err`. */
int lc_accept_start(struct lc_server *server, struct lc_error *err);

/* The worker stops: takes what already waits, then no more. */
void lc_accept_stop(struct lc_server *server);

/* Under worker_connections no connection is accepted, and none is taken from siblings. */
bool lc_accept_is_full(const struct lc_server *server);
void lc_accept_pause(struct lc_server *server);

/* A connection could not be taken: errno tells why. */
void lc_accept_failed(struct lc_server *server);

/* Takes a few of those that wait, whoever else could. */
void lc_accept_some(struct lc_server *server);

/* There is room again, or descriptors again. Cheap when nothing has to be done. */
void lc_accept_resume(struct lc_server *server);
