/* worker/worker.h — a process that serves: one libuv loop, one pipeline. */
#pragma once

struct lc_inherit;

/* Serves until told to stop. Returns the process's exit code: 0, LC_EXIT_BOOT or
 * LC_EXIT_APP_LOAD. */
int lc_worker_run(const struct lc_inherit *inherit);
