/* python/gil.h — when a thread that calls the application holds Python's lock.
 *
 * It is taken by the first call of a turn and given back at the turn's end, so that a turn of many
 * requests pays once, and the application's own threads run while this one sleeps. The host's log
 * may be written at any time, with or without the lock. */
#pragma once
#include <stdbool.h>

void lc_gil_open(void); /* Python has just been started: this thread holds the lock */

/* For another thread that is going to call the application: first and last. */
void lc_gil_join(void);
void lc_gil_leave(void);

void lc_gil_take(void); /* nothing to do when this thread has it */
void lc_gil_park(void);
bool lc_gil_is_parked(void);
