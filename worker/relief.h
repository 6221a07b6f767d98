/* worker/relief.h — what happens while a call keeps the loop from its connections.
 *
 * A sync worker calls the application on the loop's thread. A second thread, asleep as a rule,
 * steps in when a call takes longer than LC_LONG_CALL_US, and does the loop's work meanwhile
 * (worker/side_loop.h).
 *
 * The two threads never touch the server at the same time: the loop's thread lends it out while
 * the application's code runs, and takes it back wherever that code calls the server. */
#pragma once
#include "worker/server.h"

#include <stdint.h>

struct pollfd;
struct lc_relief;

/* Starts the thread once there are siblings who could help, or bytes that come and go for longer than
 * a moment; harmless to call again. */
void lc_relief_start(struct lc_server *server);
void lc_relief_stop(struct lc_server *server); /* waits for its end */

/* With a relief thread: calls the application, and lends the server out meanwhile. */
void lc_relief_lend(struct lc_server *server,
                    void (*call)(struct lc_pipeline *, struct lc_request *),
                    struct lc_request *request);

/* poll(2) for an application that has to wait; the server is lent meanwhile, if there is a relief
 * thread. */
int lc_relief_poll(struct lc_server *server, struct pollfd *at, unsigned count,
                   int timeout_ms);
