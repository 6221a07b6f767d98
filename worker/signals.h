/* worker/signals.h — what a worker is told by signals: SIGTERM to leave, SIGINT and SIGQUIT to leave
 * at once.
 *
 * The application may want to hear of them as well: a handler that it sets is called besides, and
 * takes nothing away from the server. A process that it forks is not the worker, and ends by
 * them. */
#pragma once
#include <stdbool.h>

struct lc_server;

/* As long as the application is being loaded, SIGTERM waits, and the two others end the process: it
 * has nothing in hand, and an import may take minutes. */
void lc_worker_signals_open(void);

/* From here on the loop tells `told` of each. */
void lc_worker_signals_watch(struct lc_server *server,
                             void (*told)(struct lc_server *server, int signum));

/* From time to time: handlers may have been set since. */
void lc_worker_signals_keep(void);

/* libuv tells of a signal when the loop comes round; these are known at once, to any thread. The
 * second means at once. */
bool lc_worker_signals_told_to_leave(void);
bool lc_worker_signals_told_to_stop(void);
