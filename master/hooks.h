/* master/hooks.h — the hooks of a configuration, told of what the master does.
 *
 * A hook that fails before the loop runs ends the server with 1, in the loop with 255; during a
 * reload it ends the reload. It was logged with its stack. */
#pragma once
#include "config/hooks.h"
#include "master/state.h"

/* One that is about the server alone. 0, or -1 with `err`. */
int lc_master_hook(struct lc_master *m, const struct lc_generation *generation,
                   enum lc_hook hook, struct lc_error *err);

/* The same in the loop: a failure stops the server. */
void lc_master_hook_or_stop(struct lc_master *m, const struct lc_generation *generation,
                            enum lc_hook hook);

/* nworkers_changed; `old_count` is -1 the first time. */
int lc_master_hook_workers(struct lc_master *m, const struct lc_generation *generation,
                           long old_count, struct lc_error *err);

/* One that is about a worker as well, whose pid may not be known yet. */
int lc_worker_hook(struct lc_master *m, const struct lc_generation *generation,
                   enum lc_hook hook, unsigned age, pid_t pid, struct lc_error *err);

/* child_exit. */
void lc_master_hook_child(struct lc_master *m, const struct lc_worker *worker,
                          bool has_failed_to_boot);

/* A hook has failed where the loop must not go on: Gunicorn's line, and exit code 255. */
void lc_master_panic(struct lc_master *m, const struct lc_error *err);
