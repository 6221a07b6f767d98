#include "master/reloader.h"

#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/reload.h"
#include "master/state.h"

#include <licorne/log.h>

#include <string.h>
#include <time.h>

void lc_reloader_learn(struct lc_master *m, struct lc_slice paths)
{
    struct timespec loaded;

    while (paths.len > sizeof(loaded)) {
        memcpy(&loaded, paths.at, sizeof(loaded));
        paths.at += sizeof(loaded);
        paths.len -= sizeof(loaded);

        const char *end = memchr(paths.at, '\0', paths.len);
        if (end == NULL)
            return; /* not well formed */
        lc_watch_add(&m->watch, paths.at, &loaded);
        paths.len -= (size_t)(end - paths.at) + 1;
        paths.at = end + 1;
    }
}

/* A missing module may be what is missing: until the application can be loaded, a new file is as
 * good a reason to try as a changed one. */
void lc_reloader_show(struct lc_master *m, const struct lc_worker *from,
                      struct lc_slice traceback)
{
    lc_watch_mind_newcomers(&m->watch, lc_clock_ms() - from->started_ms);
    LC_LIST_EACH (at, &m->workers) {
        const struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        if (worker->state == LC_WORKER_SERVING)
            lc_channel_send(worker->child->channel, LC_MSG_TRACEBACK,
                            worker->generation->number, traceback.at, traceback.len);
    }
}

void lc_reloader_on_commit(struct lc_master *m)
{
    m->watch.minds_newcomers = false;
}

static void keep_open(struct lc_master *m)
{
    const struct lc_config *config = m->serving->config;

    if (!m->watch.is_open) {
        lc_log(LC_WARN, "Reloader is on. Use in development only!");
        lc_watch_open(&m->watch, &m->loop, config->reload_engine,
                      &config->reload_extra_files);
    }
    m->watch.patterns = &config->reload_extra_files; /* that of the latest generation */
}

void lc_reloader_step(struct lc_master *m)
{
    uint64_t when_ms;

    if (!m->serving->config->reload || m->phase != LC_MASTER_RUNNING) {
        lc_watch_close(&m->watch);
        return;
    }
    keep_open(m);
    LC_AUTOFREE char *changed = lc_watch_next(&m->watch, &when_ms);
    if (changed != NULL) {
        lc_log(LC_INFO, "Worker reloading: %s modified", changed);
        lc_reload(m);
    }
    lc_master_wake_at(m, when_ms);
}
