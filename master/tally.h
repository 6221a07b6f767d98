/* master/tally.h — what became of the workers since the start, for those who ask: how many there
 * were, why they ended, and what those who are gone had counted. */
#pragma once
#include "base/counts.h"

#include <stdint.h>

struct lc_master;
struct lc_worker;

/* Why a worker ended. */
enum lc_death {
    LC_DEATH_DISMISSED, /* told to leave: fewer workers, a reload, the end        */
    LC_DEATH_RETIRED,   /* wanted to be replaced (max_requests)                   */
    LC_DEATH_BOOT,      /* could not begin to serve                               */
    LC_DEATH_MEMORY,    /* had grown too large (max_worker_memory, …_hard)            */
    LC_DEATH_TIMEOUT,   /* gave no sign of life                                   */
    LC_DEATH_SIGNAL,    /* by one that the master did not send                    */
    LC_DEATH_EXIT,      /* of its own accord                                      */
    LC_DEATH_COUNT
};

/* Those that nobody asked for, in the words of statistics. */
enum { LC_RESTART_CAUSES = 6 };
extern const struct lc_restart_cause {
    const char *name;
    enum lc_death death;
} lc_restart_causes[LC_RESTART_CAUSES];

enum { LC_TALLY_TEXT_MAX = 512 };

struct lc_tally {
    unsigned spawned;
    unsigned signalled; /* told to leave by a signal, or killed: each of them */
    unsigned deaths[LC_DEATH_COUNT];
    unsigned boot_failures;
    char boot_failure[LC_TALLY_TEXT_MAX]; /* the latest, its first line */

    /* Of workers that are gone. */
    uint64_t requests, accepted;
    struct lc_totals past;
};

/* Its process was reaped with wait's `status`; the worker is still as it was. */
void lc_tally_death(struct lc_master *m, const struct lc_worker *worker, int status);

/* A worker could not boot. */
void lc_tally_boot_failure(struct lc_master *m, const char *why);
