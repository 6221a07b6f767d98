#include "master/notify.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "master/state.h"
#include "master/workers.h"

#include <licorne/log.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASK_EVERY_MS = 20000, STATUS_EVERY_MS = 1000 };

/* A manager expects signs of life within `usec` and may be told of another process to watch. */
static uint64_t watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 1000 / 2;
}

void lc_notify_open(struct lc_notify *notify)
{
    *notify = (struct lc_notify){.address = getenv("NOTIFY_SOCKET")};
    if (notify->address == NULL)
        return;
    notify->watchdog_ms = watchdog_interval();
    notify->next_ms = lc_clock_ms();
}

void lc_notify_hand_over(const struct lc_notify *notify)
{
    if (notify->watchdog_ms == 0 || getenv("WATCHDOG_PID") == NULL)
        return;
    LC_AUTOFREE char *pid = lc_printf("%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
}

/* One datagram; "@name" is a name in the abstract namespace. */
static int tell(const char *address, const char *text)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(address);
    LC_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (len >= sizeof(to.sun_path) || (address[0] != '/' && address[0] != '@')) {
        errno = EINVAL;
        return -1;
    }
    memcpy(to.sun_path, address, len);
    if (address[0] == '@')
        to.sun_path[0] = '\0';
    return sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0
               ? -1
               : 0;
}

static void say(const struct lc_notify *notify, const char *text)
{
    if (tell(notify->address, text) < 0)
        lc_log(LC_DEBUG, "NOTIFY_SOCKET = %s: %s", notify->address, strerror(errno));
}

/* ---- ready, and how many serve ---- */

/* For people who read `systemctl status`; the caller frees it. */
static char *status_of(const struct lc_master *m)
{
    const struct lc_notify *notify = &m->notify;
    bool is_refused = m->reloaded.number > 0 && !m->reloaded.is_committed;

    return lc_printf("STATUS=%u of %u workers serve%s%s", notify->ready, notify->wanted,
                     is_refused ? "; not reloaded: " : "",
                     is_refused ? m->reloaded.why : "");
}

static void count_workers(struct lc_master *m)
{
    m->notify.ready = lc_workers_ready(m, m->serving);
    m->notify.wanted = m->serving->wanted;
    m->notify.status_ms = lc_clock_ms() + STATUS_EVERY_MS;
}

/* MAINPID: after an upgrade the manager still has the old master's. */
static void say_ready(struct lc_master *m)
{
    count_workers(m);
    LC_AUTOFREE char *status = status_of(m);
    LC_AUTOFREE char *text = lc_printf("READY=1\nMAINPID=%d\n%s", (int)getpid(), status);

    say(&m->notify, text);
    m->notify.is_ready = m->notify.was_ready = true;
}

static void keep_status_true(struct lc_master *m)
{
    struct lc_notify *notify = &m->notify;

    if (notify->ready == lc_workers_ready(m, m->serving) &&
        notify->wanted == m->serving->wanted)
        return;
    lc_master_wake_at(m, notify->status_ms);
    if (lc_clock_ms() < notify->status_ms)
        return;
    count_workers(m);
    LC_AUTOFREE char *status = status_of(m);
    say(notify, status);
}

/* At the start all workers are forked at once: none that boots is left when each has come to
 * serve or has failed. */
static bool can_serve(const struct lc_master *m)
{
    if (m->notify.was_ready || !m->has_served)
        return m->has_served;
    LC_LIST_EACH (at, &m->workers)
        if (LC_CONTAINER(at, struct lc_worker, link)->state == LC_WORKER_STARTING)
            return false;
    return true;
}

/* ---- the rest ---- */

/* systemd wants to know when, to tell this reload from an earlier one. */
static void say_reloading(const struct lc_notify *notify)
{
    LC_AUTOFREE char *text = lc_printf(
        "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Licorne reloads",
        (unsigned long long)lc_clock_us());

    say(notify, text);
}

/* A master without workers does not serve, unless somebody has sent them away. */
static bool is_alive(const struct lc_master *m)
{
    return !lc_list_is_empty(&m->workers) || m->serving->wanted == 0 ||
           m->successor != 0 || m->phase != LC_MASTER_RUNNING;
}

static void give_sign_of_life(struct lc_master *m)
{
    struct lc_notify *notify = &m->notify;
    uint64_t now = lc_clock_ms();

    if (notify->watchdog_ms == 0)
        return;
    if (now >= notify->next_ms) {
        if (is_alive(m))
            say(notify, "WATCHDOG=1");
        notify->next_ms = now + notify->watchdog_ms;
    }
    lc_master_wake_at(m, notify->next_ms);
}

/* Imports may take longer than the manager's patience with a start or a reload. */
static void ask_for_time(struct lc_master *m)
{
    struct lc_notify *notify = &m->notify;
    uint64_t now = lc_clock_ms();

    if (m->has_served && m->next == NULL) {
        notify->ask_at_ms = 0;
        return;
    }
    if (notify->ask_at_ms == 0)
        notify->ask_at_ms = now + ASK_EVERY_MS;
    if (now >= notify->ask_at_ms) {
        say(notify, "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Licorne loads the application");
        notify->ask_at_ms = now + ASK_EVERY_MS;
    }
    lc_master_wake_at(m, notify->ask_at_ms);
}

/* The service goes on where a new master does. */
static void say_stopping(struct lc_master *m)
{
    struct lc_notify *notify = &m->notify;

    if (!notify->is_stopping && m->successor == 0) {
        say(notify, "STOPPING=1\nSTATUS=Licorne stops");
        notify->is_stopping = true;
    }
}

void lc_notify_step(struct lc_master *m)
{
    struct lc_notify *notify = &m->notify;

    if (notify->address == NULL || m->handed.predecessor != 0)
        return;
    give_sign_of_life(m);
    if (m->phase != LC_MASTER_RUNNING) {
        say_stopping(m);
        return;
    }
    ask_for_time(m);
    if (notify->reloads != m->reloads) { /* one that fails at once is told of, too */
        notify->reloads = m->reloads;
        notify->is_ready = false;
        say_reloading(notify);
    }
    if (notify->is_ready)
        keep_status_true(m);
    else if (m->next == NULL && can_serve(m))
        say_ready(m);
}

/* Not before: the manager would wait for the new one's signs of life while this one drains. */
void lc_notify_farewell(const struct lc_master *m)
{
    if (m->notify.address == NULL || m->successor == 0)
        return;
    LC_AUTOFREE char *text = lc_printf("MAINPID=%d", (int)m->successor);
    say(&m->notify, text);
}
