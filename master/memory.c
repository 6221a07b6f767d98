#include "master/memory.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/state.h"
#include "master/workers.h"

#include <licorne/log.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHECK_EVERY_MS = 1000 };

/* What the process keeps in memory, in bytes; 0 when that cannot be read. */
static uint64_t resident(pid_t pid)
{
    char path[32], text[64];

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    LC_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    if (len <= 0)
        return 0;
    text[len] = '\0';

    const char *second = strchr(text, ' '); /* the first is what it could use */
    uint64_t pages = second == NULL ? 0 : strtoull(second, NULL, 10);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void check_worker(struct lc_worker *worker)
{
    const struct lc_config *config = worker->generation->config;
    uint64_t soft = (uint64_t)config->max_worker_memory;
    uint64_t hard = (uint64_t)config->max_worker_memory_hard;
    uint64_t used = resident(worker->child->pid);
    char hand[LC_HAND_TEXT_MAX];

    if (hard != 0 && used > hard) {
        lc_log(LC_ERROR,
               "Worker (pid:%d) uses %llu MB, more than max_worker_memory_hard = %llu "
               "MB: SIGKILL%s",
               (int)worker->child->pid, (unsigned long long)used >> 20,
               (unsigned long long)hard >> 20, lc_worker_hand_text(worker, hand));
        worker->is_too_large = true;
        kill(worker->child->pid, SIGKILL);
    } else if (soft != 0 && used > soft && !worker->is_retiring) {
        lc_log(
            LC_WARN,
            "Worker (pid:%d) uses %llu MB, more than max_worker_memory = %llu MB: it is "
            "replaced",
            (int)worker->child->pid, (unsigned long long)used >> 20,
            (unsigned long long)soft >> 20);
        worker->is_too_large = true;
        worker->is_retiring = true; /* it goes when its replacement serves */
    }
}

void lc_memory_check(struct lc_master *m)
{
    const struct lc_config *config = m->serving->config;
    uint64_t now = lc_clock_ms();

    if ((config->max_worker_memory == 0 && config->max_worker_memory_hard == 0) ||
        m->phase != LC_MASTER_RUNNING)
        return;
    if (now >= m->memory_check_ms) {
        LC_LIST_EACH (at, &m->workers) {
            struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

            if (worker->state == LC_WORKER_SERVING)
                check_worker(worker);
        }
        m->memory_check_ms = now + CHECK_EVERY_MS;
    }
    lc_master_wake_at(m, m->memory_check_ms);
}
