#include "master/monitor/monitor.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/address.h"
#include "config/config.h"
#include "master/monitor/visitor.h"
#include "master/socket.h"
#include "master/state.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 64, AT_ONCE = 16, RETRY_MS = 1000 };

struct lc_monitor {
    char *spec; /* as in metrics_bind */
    int fd;     /* -1: not open yet */
    uv_poll_t watch;
    bool is_watching, has_callers;
    uint64_t retry_ms; /* when to open it, or to accept, again; 0: all is well */
    bool has_complained;

    char *file; /* a Unix socket's absolute path; else NULL */
    dev_t device;
    ino_t inode;

    struct lc_list visitors; /* oldest first */
    unsigned count;
};

/* ---- the socket ---- */

static void on_caller(uv_poll_t *watch, int status, int events)
{
    LC_CONTAINER(watch, struct lc_monitor, watch)->has_callers = true;
}

static int open_socket(struct lc_monitor *monitor, const struct lc_config *config,
                       struct lc_error *err)
{
    struct lc_address address;

    if (lc_address_parse(monitor->spec, &address, err) < 0)
        return -1;
    LC_AUTOCLOSE int fd = address.kind == LC_ADDRESS_UNIX
                              ? lc_socket_unix(&address, config, err)
                              : lc_socket_tcp(&address, false, err);
    if (fd < 0)
        return -1;
    if (listen(fd, BACKLOG) < 0)
        return lc_error_sys(err, "listen");
    if (address.kind == LC_ADDRESS_UNIX) {
        struct stat about = {0};

        monitor->file = lc_path_absolute(address.path);
        lstat(monitor->file, &about);
        monitor->device = about.st_dev;
        monitor->inode = about.st_ino;
    }
    monitor->fd = lc_fd_take(&fd);
    return 0;
}

static int open_monitor(struct lc_master *m, struct lc_error *err)
{
    struct lc_monitor *monitor = m->monitor;

    if (open_socket(monitor, m->serving->config, err) < 0)
        return lc_error_wrap(err, "metrics_bind = %s", monitor->spec);
    uv_poll_init(&m->loop, &monitor->watch, monitor->fd);
    uv_poll_start(&monitor->watch, UV_READABLE, on_caller);
    monitor->is_watching = true;
    monitor->retry_ms = 0;
    lc_log(LC_INFO, "Metrics and health at: %s", monitor->spec);
    return 0;
}

static void retry_later(struct lc_master *m)
{
    m->monitor->retry_ms = lc_clock_ms() + RETRY_MS;
    lc_master_wake_at(m, m->monitor->retry_ms);
}

/* It may become free, or be mended by whoever reads the log. */
static void try_to_open(struct lc_master *m)
{
    struct lc_error err = {0};

    if (open_monitor(m, &err) == 0)
        return;
    if (!m->monitor->has_complained)
        lc_log(err.sys == EADDRINUSE ? LC_WARN : LC_ERROR, "%s; it is tried again",
               err.text);
    m->monitor->has_complained = true;
    retry_later(m);
}

static struct lc_monitor *create(const char *spec)
{
    struct lc_monitor *monitor = lc_new(struct lc_monitor);

    monitor->fd = -1;
    monitor->spec = lc_strdup(spec);
    lc_list_init(&monitor->visitors);
    return monitor;
}

static const char *wanted(const struct lc_master *m)
{
    const char *spec = m->serving->config->metrics_bind;

    return spec != NULL && *spec != '\0' ? spec : NULL;
}

int lc_monitor_open(struct lc_master *m, struct lc_error *err)
{
    if (wanted(m) == NULL)
        return 0;
    m->monitor = create(wanted(m));
    if (m->handed.predecessor != 0 || open_monitor(m, err) == 0)
        return 0;
    if (err->sys != EADDRINUSE)
        return -1;
    lc_log(LC_WARN, "%s; it is tried again", err->text);
    m->monitor->has_complained = true;
    retry_later(m);
    return 0;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    free(LC_CONTAINER((uv_poll_t *)handle, struct lc_monitor, watch));
}

void lc_monitor_drop(struct lc_master *m)
{
    struct lc_monitor *monitor = m->monitor;

    m->monitor = NULL;
    if (monitor == NULL)
        return;
    LC_LIST_EACH_SAFE (at, &monitor->visitors)
        lc_visitor_close(LC_CONTAINER(at, struct lc_visitor, link));
    lc_fd_close(&monitor->fd);
    free(monitor->spec);
    free(monitor->file);
    if (monitor->is_watching)
        uv_close((uv_handle_t *)&monitor->watch, on_closed);
    else
        free(monitor);
}

void lc_monitor_close(struct lc_master *m)
{
    const struct lc_monitor *monitor = m->monitor;
    struct stat about;

    if (monitor != NULL && monitor->file != NULL && lstat(monitor->file, &about) == 0 &&
        about.st_dev == monitor->device && about.st_ino == monitor->inode)
        unlink(monitor->file);
    lc_monitor_drop(m);
}

/* ---- chores ---- */

/* Another address after a reload, or none. */
static void follow_configuration(struct lc_master *m)
{
    const char *spec = wanted(m);

    if (m->monitor != NULL && (spec == NULL || strcmp(m->monitor->spec, spec) != 0))
        lc_monitor_close(m);
    if (m->monitor == NULL && spec != NULL && m->phase == LC_MASTER_RUNNING)
        m->monitor = create(spec);
    if (m->monitor == NULL || m->monitor->fd >= 0 || m->handed.predecessor != 0 ||
        m->phase != LC_MASTER_RUNNING)
        return;
    if (lc_clock_ms() >= m->monitor->retry_ms)
        try_to_open(m);
    else
        lc_master_wake_at(m, m->monitor->retry_ms);
}

static struct lc_visitor *oldest(const struct lc_monitor *monitor)
{
    return LC_LIST_FIRST(&monitor->visitors, struct lc_visitor, link);
}

static void see_out(struct lc_monitor *monitor, struct lc_visitor *visitor)
{
    lc_visitor_close(visitor);
    monitor->count--;
}

/* Whoever asks whether the server lives must not wait behind those who never ask anything. */
static void let_in(struct lc_master *m, int fd)
{
    struct lc_monitor *monitor = m->monitor;

    if (monitor->count == LC_VISITORS_MAX)
        see_out(monitor, oldest(monitor));
    lc_visitor_open(m, &monitor->visitors, fd);
    monitor->count++;
}

static void take_callers(struct lc_master *m)
{
    struct lc_monitor *monitor = m->monitor;

    if (!monitor->has_callers)
        return;
    monitor->has_callers = false;
    for (int i = 0; i < AT_ONCE; i++) {
        int fd = accept4(monitor->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            let_in(m, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            uv_poll_stop(&monitor->watch); /* it would report the same caller at once */
            retry_later(m);
        }
        return;
    }
}

static void listen_again(struct lc_master *m)
{
    struct lc_monitor *monitor = m->monitor;

    if (monitor->retry_ms == 0)
        return;
    lc_master_wake_at(m, monitor->retry_ms);
    if (lc_clock_ms() < monitor->retry_ms)
        return;
    monitor->retry_ms = 0;
    uv_poll_start(&monitor->watch, UV_READABLE, on_caller);
}

void lc_monitor_step(struct lc_master *m)
{
    struct lc_monitor *monitor;

    follow_configuration(m);
    monitor = m->monitor;
    if (monitor == NULL || monitor->fd < 0)
        return;
    listen_again(m);
    take_callers(m);
    LC_LIST_EACH_SAFE (at, &monitor->visitors) {
        struct lc_visitor *visitor = LC_CONTAINER(at, struct lc_visitor, link);

        if (lc_visitor_serve(m, visitor) < 0)
            see_out(monitor, visitor);
    }
}
