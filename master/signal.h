/* master/signal.h — signals as input of the loop instead of interruptions.
 *
 * All that the master obeys are blocked and read from a signalfd. */
#pragma once
#include <stdbool.h>

struct lc_error;
struct lc_master;

/* First of all: a shell's background command begins with SIGINT and SIGQUIT ignored, and so would
 * every worker and all that is started from there. */
void lc_signals_reset(void);

/* Blocks the signals and opens the signalfd. -1 and `err`. */
int lc_signals_open(struct lc_master *m, struct lc_error *err);
void lc_signals_close(struct lc_master *m);

/* The next signal that came, or 0. */
int lc_signals_next(struct lc_master *m);

/* "hup", as in Gunicorn's log. */
const char *lc_signals_name(int sig);

/* In a child, before anything else: an application must not find a signal blocked. And the
 * opposite, when it is about to exit. */
void lc_signals_release(void);
void lc_signals_hold(void);

/* In the logger: it ends by a message of the master, not with the others when a terminal or a
 * service manager signals the whole group. */
void lc_signals_ignore(void);

/* Sleeps; true as soon as a signal to stop is waiting. For the start, before the loop runs. */
bool lc_signals_pause(unsigned ms);
