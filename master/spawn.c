#include "master/spawn.h"

#include "base/credentials.h"
#include "base/fd.h"
#include "base/fork.h"
#include "base/identity.h"
#include "base/inherit.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "base/title.h"
#include "config/config.h"
#include "config/script.h"
#include "master/certificates.h"
#include "master/control/control.h"
#include "master/generation.h"
#include "master/hooks.h"
#include "master/monitor/monitor.h"
#include "master/privileges.h"
#include "master/signal.h"
#include "master/state.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- in the child ---- */

/* A socket that somebody else holds open would go on listening after the master closed it. */
static void drop_foreign_sockets(struct lc_master *m, const struct lc_listeners *own)
{
    struct lc_generation *all[] = {m->serving, m->next, m->leaving};

    for (size_t i = 0; i < LC_COUNT(all); i++)
        if (all[i] != NULL)
            lc_listeners_drop(&all[i]->listeners, own);
}

/* Keys that are none of its business must not lie in its memory. */
static void drop_foreign_keys(struct lc_master *m, const struct lc_generation *own)
{
    struct lc_generation *all[] = {m->serving, m->next, m->leaving};

    for (size_t i = 0; i < LC_COUNT(all); i++)
        if (all[i] != NULL && all[i] != own)
            lc_credentials_wipe(lc_certificates_credentials(all[i]->certificates));
    if (own == NULL)
        explicit_bzero(&m->tickets, sizeof(m->tickets));
}

static void leave_the_master(struct lc_master *m, const struct lc_generation *generation,
                             bool is_worker)
{
    if (!is_worker)
        lc_signals_ignore();
    lc_signals_release();
    lc_signals_close(m);
    uv_loop_fork(&m->loop); /* so that closing does not touch the master's epoll */
    lc_watch_close(&m->watch);
    lc_control_drop(m);
    lc_monitor_drop(m);
    lc_master_close_loop(m);
    lc_fd_close(&m->records[is_worker ? 0 : 1]);
    lc_fd_close(&m->output[is_worker ? 0 : 1]);
    if (!is_worker) {
        lc_fd_close(&m->passing[0]);
        lc_fd_close(&m->passing[1]);
    }
    drop_foreign_sockets(m, is_worker ? &generation->listeners : NULL);
    drop_foreign_keys(m, is_worker ? generation : NULL);
}

/* From here on what the application prints goes to the logger. With the log on stderr it stays
 * where it is, as with Gunicorn. */
static int capture(const struct lc_config *config, int output, struct lc_error *err)
{
    if (!config->capture_output || strcmp(config->errorlog, "-") == 0)
        return 0;
    if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        return lc_error_sys(err, "capture_output: dup2");
    return 0;
}

static int prepare_worker(struct lc_master *m, const struct lc_generation *generation,
                          struct lc_error *err)
{
    lc_title_set("%s: worker [%s]", lc_identity_name(), generation->config->name);
    if (capture(generation->config, m->output[1], err) < 0 ||
        lc_generation_take_on(generation, m->serving, err) < 0)
        return -1;
    return lc_privileges_drop(generation->config, err);
}

/* A small number that no other living worker of this master has, and that a worker which takes
 * its place later may get again: a name for files and metrics that pids would let grow for ever. */
static void name_slot(const struct lc_scoreboard *board, const struct lc_slot *slot)
{
    LC_AUTOFREE char *number = lc_printf("%td", slot - board->slots);

    setenv("LICORNE_WORKER_SLOT", number, 1);
}

static int give_up(const struct lc_inherit *inherit, const struct lc_error *err)
{
    struct lc_msg_boot_failed failed = {.exit_code = LC_EXIT_BOOT};

    lc_log(LC_ERROR, "Worker failed to boot: %s", err->text);
    snprintf(failed.text, sizeof(failed.text), "%.1023s", err->text);
    lc_channel_send(inherit->channel, LC_MSG_BOOT_FAILED, inherit->generation, &failed,
                    sizeof(failed));
    return LC_EXIT_BOOT;
}

static int live(struct lc_master *m, const struct lc_role *role,
                const struct lc_generation *generation, struct lc_slot *slot,
                unsigned age, int channel)
{
    const bool is_worker = slot != NULL;

    leave_the_master(m, generation, is_worker);

    struct lc_inherit inherit = {
        .config = generation->config,
        .listeners = is_worker ? generation->listeners.items : NULL,
        .listener_count = is_worker ? generation->listeners.count : 0,
        .scoreboard = m->scoreboard,
        .slot = slot,
        .channel = channel,
        .passing = {m->passing[0], m->passing[1]},
        .records = m->records[is_worker ? 1 : 0],
        .output = m->output[is_worker ? 1 : 0],
        .serves_errors = generation->config->reload && generation != m->next,
        .generation = generation->number,
        .age = age,
        .credentials = is_worker ? lc_certificates_credentials(generation->certificates)
                                 : NULL,
        .tickets = &m->tickets,
    };
    struct lc_error err = {0};

    if (is_worker) {
        name_slot(m->scoreboard, slot);
        lc_log_open(inherit.records, lc_script_log_level(generation->config));
        if (lc_worker_hook(m, generation, LC_HOOK_POST_FORK, age, getpid(), &err) < 0 ||
            prepare_worker(m, generation, &err) < 0)
            return give_up(&inherit, &err);
    } else {
        lc_title_set("%s: %s", lc_identity_name(), role->name);
    }

    int code = role->run(&inherit);
    lc_signals_hold(); /* a late one must not spoil the exit code */
    return code;
}

/* ---- in the master ---- */

static void on_mail(uv_poll_t *watch, int status, int events)
{
    struct lc_child *child = watch->data;

    child->has_mail = true;
}

static struct lc_child *watch_child(struct lc_master *m, pid_t pid, int channel)
{
    struct lc_child *child = lc_new(struct lc_child);

    child->pid = pid;
    child->channel = channel;
    uv_poll_init(&m->loop, &child->watch, channel);
    child->watch.data = child;
    uv_poll_start(&child->watch, UV_READABLE | UV_DISCONNECT, on_mail);
    return child;
}

struct lc_child *lc_child_start(struct lc_master *m, const struct lc_role *role,
                                const struct lc_generation *generation,
                                struct lc_slot *slot, unsigned age, struct lc_error *err)
{
    int ends[2];

    if (lc_channel_pair(ends, err) < 0)
        return NULL;
    lc_log_flush(); /* what waits in memory would be sent twice */
    fflush(NULL);

    pid_t pid = lc_fork();
    if (pid == 0) {
        lc_fd_close(&ends[0]);
        exit(live(m, role, generation, slot, age, ends[1]));
    }
    if (pid < 0)
        lc_error_sys(err, "fork");
    lc_fd_close(&ends[1]);
    if (pid < 0) {
        lc_fd_close(&ends[0]);
        return NULL;
    }
    return watch_child(m, pid, ends[0]);
}

bool lc_child_receive(struct lc_child *child, struct lc_msg_head *head, void *buffer)
{
    while (child->has_mail) {
        if (lc_channel_receive(child->channel, head, buffer, LC_MSG_MAX) >= 0)
            return true;
        if (errno == EBADMSG) {
            lc_log(LC_WARN, "A message of process %d is not well formed: ignored",
                   (int)child->pid);
            continue;
        }
        child->has_mail = false;
        if (errno != EAGAIN) /* closed: its death is what comes next */
            uv_poll_stop(&child->watch);
    }
    return false;
}

static void on_closed(uv_handle_t *handle)
{
    struct lc_child *child = handle->data;

    lc_fd_close(&child->channel);
    free(child);
}

void lc_child_forget(struct lc_child *child)
{
    if (child != NULL && !uv_is_closing((uv_handle_t *)&child->watch))
        uv_close((uv_handle_t *)&child->watch, on_closed);
}
