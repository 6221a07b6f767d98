/* python/fork.h — processes that the application forks.
 *
 * Such a process is a copy of the worker, with its connections and its listening sockets. What it
 * does is the application's business, until it would come back into the worker's loop: there it
 * would answer its parent's requests a second time, and nobody would ever end it. */
#pragma once
#include <stdbool.h>

struct lc_exchange;

int lc_fork_open(void); /* in the worker; -1 with an exception */
bool lc_fork_is_child(void);
void lc_fork_forget(void); /* this one was the server's own */

/* To be called whenever the application returns: a forked process ends here, as if by os._exit().
 * An exception that is set is logged first. */
void lc_fork_end_child(const struct lc_exchange *x);
