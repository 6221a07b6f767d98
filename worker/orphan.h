/* worker/orphan.h — a worker whose master has died is gone soon after, whatever it is in.
 *
 * The loop notices by itself that the master's end of the channel is closed, and drains. But while
 * the application is called or imported the loop does not turn, and nobody is left who would end
 * such a worker; so the kernel does. */
#pragma once

struct lc_error;

enum {
    LC_ORPHAN_DRAIN_MS = 1000, /* for requests that end by themselves */
    LC_ORPHAN_KILL_MS = 1500,  /* then it is gone in any case         */
};

/* The channel is that to the master. To be called when the worker has the user that it keeps: a
 * change of user forgets it. */
int lc_orphan_watch(int channel, struct lc_error *err);
