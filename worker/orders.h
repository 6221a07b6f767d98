/* worker/orders.h — what a worker is told: signals, and what the master says over the channel.
 * TERM lets it finish what it has, INT and QUIT end it at once; a channel that closes tells that
 * the master has gone. */
#pragma once

struct lc_server;

/* The application is there: the loop obeys from now on. */
void lc_orders_watch_signals(struct lc_server *server);

/* It serves: messages are read. */
void lc_orders_hear(struct lc_server *server);
