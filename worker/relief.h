/* worker/relief.h — what happens while a call keeps the loop from its connections.
 *
 * A sync worker calls the application on the loop's thread. A second thread, asleep as a rule,
 * steps in when a call takes longer than LC_LONG_CALL_US: it sends the finished answers that were
 * held until the end of the turn, passes connections whose next request has come to siblings that
 * have room, and moves the bytes of those that siblings have (worker/relay.h).
 *
 * The two threads never touch the server at the same time: the loop's thread lends it out while
 * the application's code runs, and takes it back wherever that code calls the server. */
#pragma once
#include "worker/server.h"

#include <stdint.h>

struct lc_conn;
struct pollfd;
struct lc_relief;

/* Starts the thread once there are siblings who could help; harmless to call again. */
void lc_relief_start(struct lc_server *server);
void lc_relief_stop(struct lc_server *server); /* waits for its end */

/* Connections as they come and go; it notices itself what they do in between. */
void lc_relief_meet(struct lc_conn *conn);
void lc_relief_forget(struct lc_conn *conn);

/* Of a relayed connection: the events of its socket, or of its relay's end, that are waited for
 * while a call keeps the loop. */
void lc_relief_attend(struct lc_conn *conn, int fd, uint32_t before, uint32_t events);

/* With a relief thread: calls the application, and lends the server out meanwhile. */
void lc_relief_lend(struct lc_server *server,
                    void (*call)(struct lc_pipeline *, struct lc_request *),
                    struct lc_request *request);

/* poll(2) for an application that has to wait; the server is lent meanwhile, if there is a relief
 * thread. */
int lc_relief_poll(struct lc_server *server, struct pollfd *at, unsigned count,
                   int timeout_ms);
