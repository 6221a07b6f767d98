/* master/logs.h — the logger's process as the master sees it: first to start, last to stop,
 * replaced at once when it dies.
 *
 * The master keeps both ends of the record socket open: what is queued when a logger dies is
 * written by its successor. */
#pragma once

struct lc_config;
struct lc_error;
struct lc_master;

/* Makes the record socket, starts the logger and waits until it has opened its files. -1 and
 * `err`, for example when it cannot. */
int lc_logs_start(struct lc_master *m, struct lc_error *err);

void lc_logs_hear(struct lc_master *m);

/* The logger was reaped. */
void lc_logs_on_death(struct lc_master *m, int status);

/* Starts the successor of a dead logger when its time has come. */
void lc_logs_adjust(struct lc_master *m);

/* The files, the level and the logger of the configuration in force are used from now on, instead of
 * those of the one `before` it. */
void lc_logs_redirect(struct lc_master *m, const struct lc_config *before);

/* SIGUSR1: the files were moved away. */
void lc_logs_reopen(struct lc_master *m);

/* Lets it write everything, but waits no longer than 5 s. */
void lc_logs_stop(struct lc_master *m);
