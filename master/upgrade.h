/* master/upgrade.h — SIGUSR2: a new master, from the program as it is on disk now, takes the place
 * of this one without closing a socket.
 *
 * Both serve until somebody decides: SIGTERM to the old one commits, SIGTERM to the new one rolls
 * back. The new master is the old one's child; it notices that it is alone, and takes over name
 * and pidfile. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct lc_master;

void lc_upgrade(struct lc_master *m);

/* The master's chore, in the new one: has the old one gone? */
void lc_upgrade_step(struct lc_master *m);

/* The new master has ended; `status` is wait's. */
void lc_upgrade_on_death(struct lc_master *m, int status);

/* Whether another master has our listening sockets, whose files must stay. */
bool lc_upgrade_is_under_way(const struct lc_master *m);

/* "Master", or "Master.2" until the old one has gone, as Gunicorn's log says. */
const char *lc_upgrade_name(const struct lc_master *m);
