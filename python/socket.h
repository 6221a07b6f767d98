/* python/socket.h — gunicorn.socket: the connection as a socket object, for those who ask.
 *
 * Hardly anybody does, so that it costs next to nothing: an empty object for each connection. The
 * first attribute that is asked for makes a real socket behind it, on a duplicate of the
 * descriptor (loader.py has the class). Whatever becomes of that, the server keeps its own. */
#pragma once
#include "python/api.h"

struct lc_request;

int lc_socket_open(void); /* -1 with an exception */

/* For a new connection. NULL with an exception. */
PyObject *lc_socket_create(void);

/* A request of the connection is in hand; NULL: none, and what was not asked for by now is not
 * there. */
void lc_socket_attach(PyObject *self, struct lc_request *request);

/* The connection has been closed: so is the real socket, whoever keeps this object. */
void lc_socket_forget(PyObject *self);
