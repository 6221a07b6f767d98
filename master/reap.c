#include "master/reap.h"

#include "base/inherit.h"
#include "base/mem.h"
#include "master/hooks.h"
#include "master/logs.h"
#include "master/lost.h"
#include "master/state.h"
#include "master/upgrade.h"
#include "master/workers.h"

#include <licorne/log.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

const char *lc_signal_name(int sig)
{
    static char text[32];
    const char *name = sigabbrev_np(sig);

    if (name != NULL)
        snprintf(text, sizeof(text), "SIG%s", name);
    else
        snprintf(text, sizeof(text), "signal %d", sig);
    return text;
}

static struct lc_worker *find_worker(struct lc_master *m, pid_t pid)
{
    LC_LIST_EACH (at, &m->workers) {
        struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        if (worker->child->pid == pid)
            return worker;
    }
    return NULL;
}

static void log_signal(const struct lc_worker *worker, int sig, long peak_kb)
{
    char hand[LC_HAND_TEXT_MAX];
    int pid = (int)worker->child->pid;
    bool is_expected = worker->state == LC_WORKER_KILLED || sig == SIGTERM ||
                       (worker->state == LC_WORKER_LEAVING && sig == worker->farewell);

    lc_worker_hand_text(worker, hand);
    if (is_expected) /* what it had in hand was said when it was told to leave */
        lc_log(LC_INFO, "Worker (pid:%d) was sent %s!", pid, lc_signal_name(sig));
    else if (sig == SIGKILL)
        lc_log(
            LC_ERROR,
            "Worker (pid:%d) was sent SIGKILL! Perhaps out of memory? It had used up to "
            "%ld MB%s",
            pid, peak_kb / 1024, hand);
    else
        lc_log(LC_WARN, "Worker (pid:%d) was sent %s!%s", pid, lc_signal_name(sig), hand);
}

static void log_exit(const struct lc_worker *worker, int code)
{
    int pid = (int)worker->child->pid;

    if (code != 0)
        lc_log(LC_ERROR, "Worker (pid:%d) exited with code %d.", pid, code);
    else if (worker->state == LC_WORKER_STARTING)
        lc_log(LC_ERROR, "Worker (pid:%d) exited before it was ready.", pid);
    else
        lc_log(LC_DEBUG, "Worker (pid:%d) has left.", pid);
}

/* It was to stay. lc_workers_adjust starts another one, at once or after a pause. */
static void on_unexpected_death(struct lc_master *m, struct lc_worker *worker, int status)
{
    if (worker->state == LC_WORKER_STARTING)
        lc_worker_failed_to_boot(m, worker, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                                 WIFEXITED(status)
                                     ? "a worker exited while it started"
                                     : "a worker was killed while it started");
    else if (m->phase == LC_MASTER_RUNNING && lc_worker_is_young(worker))
        lc_workers_slow_down(m, worker->generation);
}

static void on_worker_death(struct lc_master *m, struct lc_worker *worker, int status,
                            const struct rusage *used)
{
    lc_worker_hear(m, worker); /* its last words explain its death */

    if (WIFSIGNALED(status))
        log_signal(worker, WTERMSIG(status), used->ru_maxrss);
    else
        log_exit(worker, WEXITSTATUS(status));
    lc_tally_death(m, worker, status);
    if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0)
        lc_lost_note(m, worker);
    if (worker->state <= LC_WORKER_SERVING)
        on_unexpected_death(m, worker, status);
    lc_master_hook_child(m, worker,
                         WIFEXITED(status) && (WEXITSTATUS(status) == LC_EXIT_BOOT ||
                                               WEXITSTATUS(status) == LC_EXIT_APP_LOAD));
    lc_worker_bury(m, worker);
}

void lc_children_reap(struct lc_master *m)
{
    struct rusage used;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
        struct lc_worker *worker = find_worker(m, pid);

        if (worker != NULL)
            on_worker_death(m, worker, status, &used);
        else if (m->logger != NULL && pid == m->logger->pid)
            lc_logs_on_death(m, status);
        else if (pid == m->successor)
            lc_upgrade_on_death(m, status);
        else
            lc_log(LC_DEBUG, "Reaped process %d, which is not one of ours.", (int)pid);
    }
}
