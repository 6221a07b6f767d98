/* logger/logger.h — the process that writes logs, and the only one. */
#pragma once

struct lc_inherit;

/* Receives records until LC_MSG_STOP or until the master has gone; first writes what is queued.
 * Returns the exit code. */
int lc_logger_run(const struct lc_inherit *inherit);
