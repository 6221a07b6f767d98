/* python/gil.h — when the loop's thread holds Python's lock.
 *
 * It is taken by the first call of a loop turn and given back at the turn's end, so that a turn
 * of many requests pays once and the application's own threads run while the loop sleeps.
 *
 * A thread of the application that runs while the lock is not parked runs because the loop's
 * thread waits inside Python code: then, and only then, may it make the host's calls about a
 * request. The host's log may be written at any time. */
#pragma once
#include <stdbool.h>

void lc_gil_open(void); /* Python has just been started: this thread holds the lock */
void lc_gil_take(void); /* nothing to do when it is held */
void lc_gil_park(void);
bool lc_gil_is_parked(void);
bool lc_gil_is_loop_thread(void);
