/* worker/accept.h — takes connections off the listening sockets, which all workers share. */
#pragma once

struct lc_error;
struct lc_server;

/* Starts accepting on every listener. 0, or -1 with `err`. */
int lc_accept_start(struct lc_server *server, struct lc_error *err);

/* The worker stops: takes what already waits, then no more. */
void lc_accept_stop(struct lc_server *server);

/* There is room again, or descriptors again. Cheap when nothing has to be done. */
void lc_accept_resume(struct lc_server *server);
