/* master/reload.h — SIGHUP: a new generation in place of the old one, or no change at all.
 *
 *   begin      everything is read anew; the next generation's sockets are opened
 *   boot       its workers start beside the serving ones, which notice nothing
 *   commit     all are ready: it serves from now on, and the old generation leaves
 *   withdraw   one cannot boot, or does not within `timeout` while another reload waits: the next
 *              generation leaves instead
 *   bury       the last worker of the leaving one is gone, and its sockets with it
 *
 * One reload at a time; what is asked for meanwhile follows as one more. */
#pragma once

struct lc_master;

void lc_reload(struct lc_master *m); /* asks for one */

/* Takes the reload as far as it can go now. */
void lc_reload_step(struct lc_master *m);
