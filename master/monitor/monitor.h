/* master/monitor/monitor.h — a small HTTP listener of the master's own (metrics_bind), for those
 * who watch the server: Prometheus, and whoever asks whether it lives and is ready.
 *
 * The master answers, so it is answered whatever the workers do. Nothing here can hold up its loop:
 * all is non-blocking, of one visitor a turn reads one piece and writes what the socket takes; there
 * are at most LC_VISITORS_MAX of them, the longest there goes first when another one comes, and each
 * has a few seconds for all it wants. */
#pragma once

struct lc_error;
struct lc_master;

enum { LC_VISITORS_MAX = 32 };

/* At the start: -1 and `err` when it can never listen there. An address that is in use is tried again
 * until it is free, and so is that of a predecessor until it has gone. */
int lc_monitor_open(struct lc_master *m, struct lc_error *err);

/* The master's chores: follows the configuration; takes visitors in, reads and answers. */
void lc_monitor_step(struct lc_master *m);

/* The end: removes a Unix socket's file. */
void lc_monitor_close(struct lc_master *m);

/* In a child: lets go of everything and touches no file. */
void lc_monitor_drop(struct lc_master *m);
