/* master/ctl/process.h — a master that is known by its process id, and told what to do by
 * signals, where its control socket cannot be found.
 *
 * Signals carry no answer: 0 says that the master has taken the command, not that it worked
 * out. */
#pragma once
#include <stdbool.h>

/* A number from 1 to `max`, with blanks around at most. */
bool lc_number_parse(const char *text, long max, long *number);

/* Each returns 0, or says what is wrong and returns the exit code. */
int lc_process_from_file(const char *path, long *pid);

/* A pidfile may be stale and its number belong to a stranger by now, who would not like our
 * signals. */
int lc_process_check(long pid);

/* `words` is the command, ended by NULL. */
int lc_process_tell(long pid, char **words);
