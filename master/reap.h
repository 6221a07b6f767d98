/* master/reap.h — who died, why, and what follows. */
#pragma once

struct lc_master;

/* Reaps every child that has ended: workers, the logger, and as PID 1 strangers as well. */
void lc_children_reap(struct lc_master *m);

/* "SIGSEGV" for 11. The text is valid until the next call. */
const char *lc_signal_name(int sig);
