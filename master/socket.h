/* master/socket.h — one socket to listen on: TCP, Unix, or one that was handed over.
 *
 * All are non-blocking and close-on-exec. -1 and `err` if there is none; EADDRINUSE in its `sys`
 * if somebody else has the address. */
#pragma once
#include <stdbool.h>

struct lc_address;
struct lc_config;
struct lc_error;

/* Bound, not yet listening. With `shares_port`, sockets that share it as well may have the same
 * port. */
int lc_socket_tcp(const struct lc_address *address, bool shares_port,
                  struct lc_error *err);
void lc_socket_share_port(int fd, bool is_shared);

/* Bound, not yet listening. A socket in the way is removed if nobody listens on it. The new one
 * has `socket_mode`, or what `umask` leaves, and belongs to `socket_user` and `socket_group`. */
int lc_socket_unix(const struct lc_address *address, const struct lc_config *config,
                   struct lc_error *err);

/* Makes way for a socket at the path: removes one on which nobody listens. EADDRINUSE if somebody
 * does. */
int lc_socket_make_way(const char *path, struct lc_error *err);

/* A listening descriptor that whoever started the program left open. */
int lc_socket_inherited(int fd, struct lc_error *err);

/* Whether the listening socket `fd` has this address (TCP or Unix). */
bool lc_socket_is_at(int fd, const struct lc_address *address);
