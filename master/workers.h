/* master/workers.h — what the master does with its workers, from the first fork to the last exit.
 *
 * STARTING → SERVING → LEAVING → KILLED → GONE; any of the steps in between may be left out. */
#pragma once
#include "base/scoreboard.h"
#include "master/state.h"

/* A reload doubles the workers for a while: half of the places on the scoreboard. */
enum { LC_WORKERS_MAX = LC_SLOTS_MAX / 2 };

/* Takes what workers said since the last turn. */
void lc_workers_hear(struct lc_master *m);
void lc_worker_hear(struct lc_master *m, struct lc_worker *worker);

/* Forks what is missing, and lets go whoever is too many: those who asked to be replaced first,
 * then the oldest. */
void lc_workers_adjust(struct lc_master *m);

/* SIGKILL for those whose time to leave is over. */
void lc_workers_kill_late(struct lc_master *m);

/* TTIN, TTOU: one more or one less; never below one. */
void lc_workers_want(struct lc_master *m, int change);

/* All leave gracefully and none takes their place, until a reload or TTIN. */
void lc_workers_want_none(struct lc_master *m);

/* Tells a worker to leave. Gracefully: SIGTERM, and graceful_timeout to finish what it has. At
 * once: SIGQUIT, and one second. A worker that never served has nothing to finish. */
void lc_worker_dismiss(struct lc_master *m, struct lc_worker *worker,
                       enum lc_haste haste);
void lc_workers_dismiss(struct lc_master *m, const struct lc_generation *generation,
                        enum lc_haste haste); /* NULL: all there are */

/* SIGABRT to one that hangs, and a second to say where. */
void lc_worker_abort(struct lc_master *m, struct lc_worker *worker);

/* Its process was reaped: frees its slot and the worker. */
void lc_worker_bury(struct lc_master *m, struct lc_worker *worker);

/* Died within a second of its start. */
bool lc_worker_is_young(const struct lc_worker *worker);

/* A worker could not boot. At the first start that ends the server; during a reload it ends the
 * reload; else the next try comes later. `exit_code` 0: it did not say one. */
void lc_worker_failed_to_boot(struct lc_master *m, struct lc_worker *worker,
                              int exit_code, const char *why);

/* The next workers of the generation come only after a pause that grows. */
void lc_workers_slow_down(struct lc_master *m, struct lc_generation *generation);

unsigned lc_workers_count(const struct lc_master *m,
                          const struct lc_generation *generation); /* NULL: all */
unsigned lc_workers_ready(const struct lc_master *m,
                          const struct lc_generation *generation);

/* " while handling GET /x for 127.0.0.1, 3.2 s; GET /y for …", or "" when nothing is in hand. */
enum { LC_HAND_TEXT_MAX = 2048 };
const char *lc_worker_hand_text(const struct lc_worker *worker,
                                char text[LC_HAND_TEXT_MAX]);

/* What a client sent is shown without its control bytes. */
void lc_mask_controls(char *text);
