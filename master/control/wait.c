#include "master/control/wait.h"

#include "master/state.h"
#include "master/workers.h"

#include <licorne/error.h>

struct lc_wait lc_wait_begin(const struct lc_master *m, enum lc_wait_for what,
                             json_t *data)
{
    return (struct lc_wait){
        .what = what,
        .data = data,
        .reload = m->reloads + 1, /* one that is under way read the files before */
        .boot_failures = m->tally.boot_failures,
    };
}

static int look_at_reload(const struct lc_wait *wait, const struct lc_master *m,
                          struct lc_error *err)
{
    const struct lc_reloaded *reloaded = &m->reloaded;

    if (reloaded->number < wait->reload)
        return 0;
    return reloaded->is_committed
               ? 1
               : lc_error_set(err, LC_E_CONFIG, "Not reloaded: %s", reloaded->why);
}

static int look_at_workers(const struct lc_wait *wait, const struct lc_master *m,
                           struct lc_error *err)
{
    const struct lc_generation *serving = m->serving;

    if (m->tally.boot_failures != wait->boot_failures)
        return lc_error_set(err, LC_E_BOOT, "A worker cannot boot: %s",
                            m->tally.boot_failure);
    return lc_workers_ready(m, serving) == serving->wanted &&
           lc_workers_count(m, serving) == serving->wanted;
}

int lc_wait_look(const struct lc_wait *wait, const struct lc_master *m,
                 struct lc_error *err)
{
    if (wait->what != LC_WAIT_END && m->phase != LC_MASTER_RUNNING)
        return lc_error_set(err, LC_E_SYSTEM, "The server stops");
    switch (wait->what) {
    case LC_WAIT_RELOAD: return look_at_reload(wait, m, err);
    case LC_WAIT_WORKERS: return look_at_workers(wait, m, err);
    case LC_WAIT_END: return m->phase == LC_MASTER_STOPPED;
    case LC_WAIT_NOTHING: break;
    }
    return 0;
}

void lc_wait_clear(struct lc_wait *wait)
{
    json_decref(wait->data);
    *wait = (struct lc_wait){.what = LC_WAIT_NOTHING};
}
