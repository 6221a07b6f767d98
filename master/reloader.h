/* master/reloader.h — the setting `reload`: a changed file brings a new generation, as SIGHUP does.
 * One that cannot be loaded leaves the old workers serving, which show the traceback to browsers. */
#pragma once
#include "base/ipc.h"

#include <licorne/slice.h>

struct lc_master;
struct lc_worker;

/* The master's chore. */
void lc_reloader_step(struct lc_master *m);

/* What workers say: the payloads of LC_MSG_SOURCES and LC_MSG_TRACEBACK. */
void lc_reloader_learn(struct lc_master *m, struct lc_slice paths);
void lc_reloader_show(struct lc_master *m, const struct lc_worker *from,
                      struct lc_slice traceback);

/* A new generation serves, with whatever files it has. */
void lc_reloader_on_commit(struct lc_master *m);
