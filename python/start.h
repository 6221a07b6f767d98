/* python/start.h — CPython in this process: started once, by whoever needs it first. */
#pragma once
#include <stdbool.h>

struct lc_error;
struct lc_interpreter;

/* The caller holds the lock afterwards, also when it fails for an interpreter that is another one
 * than runs already. */
int lc_python_start(const struct lc_interpreter *interpreter, struct lc_error *err);
bool lc_python_is_running(void);

/* os.environ becomes what the environment is now. The lock is held. */
void lc_python_sync_environment(void);
