/* python/logfiles.h — the files that the application's own `logging` writes. */
#pragma once

/* Opens each anew under its name, for SIGUSR1 as Gunicorn has it: log rotation has moved them away.
 * What cannot be opened is printed with its traceback, and goes on into the old file. Called from the
 * loop's thread; takes Python's lock. */
void lc_logfiles_reopen(void);
