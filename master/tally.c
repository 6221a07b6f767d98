#include "master/tally.h"

#include "base/scoreboard.h"
#include "master/state.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

const struct lc_restart_cause lc_restart_causes[LC_RESTART_CAUSES] = {
    {"max_requests", LC_DEATH_RETIRED},
    {"memory", LC_DEATH_MEMORY},
    {"boot", LC_DEATH_BOOT},
    {"timeout", LC_DEATH_TIMEOUT},
    {"signal", LC_DEATH_SIGNAL},
    {"exit", LC_DEATH_EXIT},
};

static enum lc_death cause_of(const struct lc_worker *worker, int status)
{
    if (worker->is_too_large)
        return LC_DEATH_MEMORY;
    switch (worker->state) {
    case LC_WORKER_STARTING: return LC_DEATH_BOOT;
    case LC_WORKER_SERVING: return WIFSIGNALED(status) ? LC_DEATH_SIGNAL : LC_DEATH_EXIT;
    case LC_WORKER_LEAVING:
    case LC_WORKER_KILLED:
        if (worker->farewell == 0)
            return LC_DEATH_BOOT;
        if (worker->farewell == SIGABRT)
            return atomic_load(&worker->slot->state) == LC_SLOT_BOOTING
                       ? LC_DEATH_BOOT
                       : LC_DEATH_TIMEOUT;
        return worker->is_retiring ? LC_DEATH_RETIRED : LC_DEATH_DISMISSED;
    case LC_WORKER_GONE: break;
    }
    return LC_DEATH_DISMISSED;
}

void lc_tally_death(struct lc_master *m, const struct lc_worker *worker, int status)
{
    struct lc_tally *tally = &m->tally;

    tally->deaths[cause_of(worker, status)]++;
    tally->requests += atomic_load(&worker->slot->requests);
    tally->accepted += atomic_load(&worker->slot->accepted);
    lc_totals_add(&tally->past, &worker->slot->counts);
}

void lc_tally_boot_failure(struct lc_master *m, const char *why)
{
    m->tally.boot_failures++;
    snprintf(m->tally.boot_failure, sizeof(m->tally.boot_failure), "%.*s",
             (int)strcspn(why, "\n"), why);
}
