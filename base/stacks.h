/* base/stacks.h — where a process was when it crashed, was aborted, or was asked. */
#pragma once

/* From now on the C stack is written to `fd` (not owned) when the process crashes or is aborted,
 * which still ends it, and when it gets LC_SIGNAL_STACK, which does not. Handlers that are there
 * already stay. -1 does nothing. */
void lc_stacks_open(int fd);

/* The descriptor, for interpreters that can tell more; -1: none. */
int lc_stacks_fd(void);
