#include "master/reload.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/title.h"
#include "config/config.h"
#include "master/actions.h"
#include "master/certificates.h"
#include "master/control/control.h"
#include "master/generation.h"
#include "master/hooks.h"
#include "master/logs.h"
#include "master/reloader.h"
#include "master/state.h"
#include "master/upgrade.h"
#include "master/workers.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <stdio.h>

enum { PATIENCE_MS = 10000 }; /* between two lines about workers that still boot */

void lc_reload(struct lc_master *m)
{
    if (m->next != NULL || m->leaving != NULL)
        lc_log(LC_INFO, "The reload that is under way goes first.");
    m->reload_wanted = true;
}

/* `why` is NULL when the new configuration is in force. */
static void end(struct lc_master *m, const char *why)
{
    struct lc_reloaded *reloaded = &m->reloaded;

    reloaded->number = m->reloads;
    reloaded->is_committed = why == NULL;
    snprintf(reloaded->why, sizeof(reloaded->why), "%s", why == NULL ? "" : why);
    lc_control_on_reloaded(m);
}

/* ---- begin ---- */

/* In the new environment, as everything that the new configuration does. */
static int tell_hooks(struct lc_master *m, struct lc_generation *next,
                      struct lc_error *err)
{
    if (lc_master_hook_workers(m, next, (long)m->serving->wanted, err) < 0)
        return -1;
    return lc_master_hook(m, next, LC_HOOK_ON_RELOAD, err);
}

/* Called in the environment that the process was started with. Returns a generation that is
 * ready for workers, or NULL. */
static struct lc_generation *make_next(struct lc_master *m, struct lc_error *err)
{
    struct lc_config *config = lc_config_load(m->argc, m->argv, err);

    if (config == NULL)
        return NULL;
    if (lc_config_require(config, err) < 0) {
        lc_config_destroy(config);
        return NULL;
    }
    lc_config_keep_fixed(config, m->serving->config);

    struct lc_generation *next = lc_generation_create(m, config);
    if (lc_generation_take_on(next, NULL, err) == 0 &&
        lc_certificates_read(&next->certificates, config, m->roles->worker, err) == 0 &&
        lc_generation_open_pidfile(next, m->serving, m->handed.predecessor != 0, err) ==
            0 &&
        lc_generation_listen(next, m->serving, &m->handed, err) == 0 &&
        tell_hooks(m, next, err) == 0)
        return next;
    lc_config_unapply(config);
    lc_generation_destroy(next, m->serving);
    return NULL;
}

/* The master goes through the new environment and comes back to the one in force; the new
 * workers take on theirs themselves. */
static struct lc_generation *prepare_next(struct lc_master *m, struct lc_error *err)
{
    struct lc_error other;

    if (lc_generation_take_on(NULL, m->serving, err) < 0)
        lc_log(LC_WARN, "%s", err->text); /* relative paths now begin elsewhere */

    struct lc_generation *next = make_next(m, err);
    if (lc_generation_take_on(m->serving, next, &other) < 0)
        lc_log(LC_ERROR, "%s", other.text);
    return next;
}

static void begin(struct lc_master *m)
{
    struct lc_error err = {0};

    m->reload_wanted = false;
    m->reloads++;
    lc_log(LC_INFO, "Hang up: %s", lc_upgrade_name(m));
    m->next = prepare_next(m, &err);
    if (m->next == NULL) {
        lc_log(LC_ERROR, "Not reloaded: %s", err.text);
        lc_log(LC_ERROR, "The running configuration stays in force.");
        end(m, err.text);
        return;
    }
    m->patience_shown_ms = lc_clock_ms();
    if (m->next->config->preload_app)
        lc_log(LC_INFO,
               "preload_app: the application stays as it was loaded at the start. "
               "SIGUSR2 starts a new server with its code as it is now.");
}

/* ---- boot ---- */

static bool is_ready(const struct lc_master *m, const struct lc_generation *generation)
{
    return lc_workers_ready(m, generation) >= generation->wanted;
}

static void say_who_is_awaited(struct lc_master *m)
{
    uint64_t now = lc_clock_ms();

    if (now - m->patience_shown_ms >= PATIENCE_MS) {
        m->patience_shown_ms = now;
        lc_log(LC_INFO,
               "Reload: %u of %u new workers are ready after %llu s; the old ones serve.",
               lc_workers_ready(m, m->next), m->next->wanted,
               (unsigned long long)(now - m->next->since_ms) / 1000);
    }
    lc_master_wake_at(m, m->patience_shown_ms + PATIENCE_MS);
}

/* Workers that hang in an import would hold up the reload that brings the mended code. How long
 * they have got once it is asked for is what a worker that serves may be silent. */
static bool is_in_the_way(struct lc_master *m)
{
    uint64_t limit_ms = (uint64_t)m->next->config->timeout * 1000;
    uint64_t end = m->next->since_ms + limit_ms;

    if (!m->reload_wanted || limit_ms == 0)
        return false;
    lc_master_wake_at(m, end);
    return lc_clock_ms() >= end;
}

/* ---- commit, withdraw, bury ---- */

/* The workers have the sockets that only their generation uses themselves: each closes when
 * the last of them has answered what was queued. Held open here, it would go on to queue
 * connections for nobody. */
static void send_away(struct lc_master *m)
{
    lc_generation_close(m->leaving, m->serving);
    lc_workers_dismiss(m, m->leaving, LC_GRACEFULLY);
}

static void commit(struct lc_master *m)
{
    struct lc_error err;

    m->leaving = m->serving;
    m->serving = m->next;
    m->next = NULL;
    if (lc_generation_take_on(m->serving, m->leaving, &err) < 0)
        lc_log(LC_ERROR, "%s", err.text);
    lc_logs_redirect(m, m->leaving->config);
    lc_master_show_title(m);
    if (!lc_listeners_equal(&m->serving->listeners, &m->leaving->listeners))
        lc_listeners_log(&m->serving->listeners);
    lc_certificates_warn(m->serving->certificates);
    lc_reloader_on_commit(m);
    end(m, NULL);
    send_away(m);
}

static void withdraw(struct lc_master *m)
{
    m->leaving = m->next;
    m->next = NULL;
    LC_AUTOFREE char *why = lc_printf("the new workers cannot boot: %s",
                                      m->leaving->failure);
    lc_log(LC_ERROR, "Not reloaded: %s", why);
    lc_log(LC_ERROR, "The old workers go on, with the configuration that they have.");
    end(m, why);
    send_away(m);
}

static void make_way(struct lc_master *m)
{
    snprintf(m->next->failure, sizeof(m->next->failure),
             "not ready after %lld s, and another reload was asked for",
             (long long)m->next->config->timeout);
    withdraw(m);
}

static void bury(struct lc_master *m)
{
    lc_generation_destroy(m->leaving, m->serving);
    m->leaving = NULL;
}

void lc_reload_step(struct lc_master *m)
{
    if (m->phase != LC_MASTER_RUNNING)
        return;
    if (m->next != NULL) {
        if (m->next->has_failed)
            withdraw(m);
        else if (is_ready(m, m->next))
            commit(m);
        else if (is_in_the_way(m))
            make_way(m);
        else
            say_who_is_awaited(m);
    }
    if (m->leaving != NULL && lc_workers_count(m, m->leaving) == 0)
        bury(m);
    if (m->reload_wanted && m->next == NULL && m->leaving == NULL)
        begin(m);
}
