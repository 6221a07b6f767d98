/* master/listen.h — the listening sockets of one configuration.
 *
 * A reload makes a new set that shares the sockets of unchanged addresses with the running
 * set. */
#pragma once
#include "base/inherit.h"

#include <stdbool.h>

struct lc_config;
struct lc_error;
struct lc_handed;
struct lc_origin;

struct lc_listeners {
    struct lc_listener *items;
    struct lc_origin *origins; /* where each came from; private to listen.c */
    unsigned count;
    bool is_tls; /* whoever connects has to encrypt */
};

/* Opens every address of `bind`. What was handed over (NULL: nothing) comes first: a service
 * manager's sockets instead of `bind`, a predecessor's for the addresses that they have. At the
 * start (`running` is NULL) an address in use is tried five times, a second apart and with log
 * lines; what waiting cannot heal fails at once. A reload takes the sockets of unchanged addresses from `running`, which stays as it is, and never
 * waits. -1 and `err`: nothing is left open. LC_E_NONE in `err`: a signal to stop came while
 * waiting. */
int lc_listeners_open(struct lc_listeners *set, const struct lc_config *config,
                      const struct lc_listeners *running, struct lc_handed *handed,
                      struct lc_error *err);

/* Leaves the files of Unix sockets to another server, which has the sockets too. */
void lc_listeners_leave_files(struct lc_listeners *set);

/* Closes what `shared_with` (NULL: none) does not use as well; removes the files of closed Unix
 * sockets if they are still ours. `set` is empty afterwards. */
void lc_listeners_close(struct lc_listeners *set, const struct lc_listeners *shared_with);

/* For a child: closes what `own` (NULL: nothing) does not have, without touching files. */
void lc_listeners_drop(struct lc_listeners *set, const struct lc_listeners *own);

/* Whether both sets have the same sockets in the same order, and speak the same on them. */
bool lc_listeners_equal(const struct lc_listeners *a, const struct lc_listeners *b);

/* "http://127.0.0.1:8000,unix:/run/x"; the caller frees it. */
char *lc_listeners_text(const struct lc_listeners *set);

/* "Listening at: … (PID)" */
void lc_listeners_log(const struct lc_listeners *set);
