/* worker/worker.h — a process that serves: one libuv loop, one pipeline. */
#pragma once

struct lc_config;
struct lc_inherit;

/* Serves until told to stop. Returns the process's exit code: 0, LC_EXIT_BOOT or
 * LC_EXIT_APP_LOAD. */
int lc_worker_run(const struct lc_inherit *inherit);

/* Loads the application and lets it go again; what is wrong with it is said on stderr. 0, or -1. */
int lc_worker_check(const struct lc_config *config);
