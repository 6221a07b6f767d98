#include "master/logs.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/config.h"
#include "config/script.h"
#include "master/reap.h"
#include "master/spawn.h"
#include "master/state.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RECORDS_ROOM = 8 << 20, /* bytes that may queue while the logger is busy or dead */
    OUTPUT_ROOM = 1 << 20,  /* the same for what applications print */
    START_LIMIT_MS = 10000,
    STOP_LIMIT_MS = 5000,
};

/* ---- the record socket ---- */

static int open_records(struct lc_master *m, struct lc_error *err)
{
    int room = RECORDS_ROOM;

    if (lc_channel_pair(m->records, err) < 0)
        return -1;
    /* A worker must never wait for the log. */
    if (lc_fd_set_nonblocking(m->records[1]) < 0)
        return lc_error_sys(err, "fcntl");
    /* Beyond the system's limit for root; else as much as it allows. */
    if (setsockopt(m->records[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        setsockopt(m->records[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return 0;
}

static int open_output(struct lc_master *m, struct lc_error *err)
{
    if (pipe2(m->output, O_CLOEXEC) < 0)
        return lc_error_sys(err, "pipe");
    fcntl(m->output[1], F_SETPIPE_SZ, OUTPUT_ROOM); /* or what the system allows */
    return 0;
}

/* ---- what the logger is told ---- */

static void tell(struct lc_master *m, enum lc_msg_type type, const void *payload,
                 size_t len)
{
    if (m->logger == NULL)
        return; /* its successor gets the streams at its start */
    if (lc_channel_send(m->logger->channel, type, m->serving->number, payload, len) < 0 &&
        errno != EPIPE)
        lc_log(LC_ERROR, "The logger could not be told: %s", strerror(errno));
}

enum { TARGET_MAX = 4096 };

static size_t put_text(char *at, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len >= TARGET_MAX)
        len = TARGET_MAX - 1;
    if (len > 0)
        memcpy(at, text, len);
    at[len] = '\0';
    return len + 1;
}

/* The logger stays in the folder in which it was started, while a reload may bring the master to
 * another one (chdir): it gets absolute paths. */
static char *absolute_target(const char *target)
{
    bool is_path = target != NULL && *target != '\0' && strcmp(target, "-") != 0;

    return is_path ? lc_path_absolute(target) : lc_strdup(target);
}

/* Whom the files are given to, if this process can. */
static char *owner_of_files(const struct lc_config *config)
{
    if (geteuid() != 0 || (config->user == 0 && config->group == 0))
        return NULL;
    return lc_printf("%lld:%lld", (long long)config->user, (long long)config->group);
}

/* Gunicorn's: the name of the process, in which a colon would end the tag. */
static char *syslog_prefix_of(const struct lc_config *config)
{
    char *prefix = lc_strdup(config->syslog_prefix != NULL ? config->syslog_prefix
                                                           : config->name);

    for (char *c = prefix; config->syslog_prefix == NULL && *c != '\0'; c++)
        if (*c == ':')
            *c = '.';
    return prefix;
}

static void tell_streams(struct lc_master *m)
{
    static char payload[LC_MSG_MAX - sizeof(struct lc_msg_head)];
    const struct lc_config *config = m->serving->config;
    bool is_scripted = lc_script_writes_logs(config); /* then these two are Python's */
    LC_AUTOFREE char *error = absolute_target(is_scripted ? NULL : config->errorlog);
    LC_AUTOFREE char *access = absolute_target(is_scripted ? NULL : config->accesslog);
    LC_AUTOFREE char *owner = owner_of_files(config);
    LC_AUTOFREE char *mode = config->log_file_mode == 0
                                 ? NULL
                                 : lc_printf("%o", (unsigned)config->log_file_mode);
    LC_AUTOFREE char *syslog_prefix = syslog_prefix_of(config);
    const char *syslog = config->syslog ? config->syslog_addr : NULL;
    const char *syslog_facility = config->syslog_facility;
    const char *syslog_access = config->disable_redirect_access_to_syslog ? "" : "yes";
    const char *statsd = config->statsd_host;
    const char *statsd_prefix = config->statsd_prefix;
    const char *statsd_tags = config->dogstatsd_tags;
    size_t len = 0;

#define X(name) len += put_text(payload + len, name);
    LC_LOG_TARGETS(X)
#undef X
    tell(m, LC_MSG_STREAMS, payload, len);
}

/* A logger of the user's own is a part of the process that it was set up for. What is said until
 * its successor is there waits. */
static void renew(struct lc_master *m)
{
    if (m->logger != NULL)
        tell(m, LC_MSG_STOP, NULL, 0);
    m->is_logger_leaving = m->logger != NULL;
}

void lc_logs_redirect(struct lc_master *m, const struct lc_config *before)
{
    if (lc_script_writes_logs(before) || lc_script_writes_logs(m->serving->config))
        renew(m);
    else
        tell_streams(m);
    lc_log_count_levels(m->serving->config->statsd_host != NULL);
    lc_log_open(m->records[1], lc_script_log_level(m->serving->config));
}

void lc_logs_reopen(struct lc_master *m)
{
    tell(m, LC_MSG_REOPEN, NULL, 0);
    LC_LIST_EACH (at, &m->workers) {
        const struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        /* One that does not read what it is told is about to be replaced. */
        lc_channel_send(worker->child->channel, LC_MSG_REOPEN, worker->generation->number,
                        NULL, 0);
    }
}

/* ---- its life ---- */

static int start_process(struct lc_master *m, struct lc_error *err)
{
    m->logger = lc_child_start(m, m->roles->logger, m->serving, NULL, 0, err);
    if (m->logger == NULL)
        return -1;
    tell_streams(m);
    return 0;
}

/* 1: it is ready; 0: it said nothing yet; -1: it will not, and `err` tells why. */
static int answer_of(struct lc_child *logger, struct lc_error *err)
{
    static _Alignas(8) char payload[LC_MSG_MAX];
    const struct lc_msg_boot_failed *failed = (const void *)payload;
    struct lc_msg_head head;

    while (lc_child_receive(logger, &head, payload)) {
        if (head.type == LC_MSG_READY)
            return 1;
        if (head.type == LC_MSG_BOOT_FAILED && head.length == sizeof(*failed))
            return lc_error_set(err, LC_E_CONFIG, "%.*s", (int)sizeof(failed->text) - 1,
                                failed->text);
    }
    return 0;
}

static int await_ready(struct lc_master *m, struct lc_error *err)
{
    uint64_t end = lc_clock_ms() + START_LIMIT_MS;

    for (uint64_t now; (now = lc_clock_ms()) < end;) {
        struct pollfd at = {.fd = m->logger->channel, .events = POLLIN};

        if (poll(&at, 1, (int)(end - now)) <= 0)
            continue;
        m->logger->has_mail = true;
        int answer = answer_of(m->logger, err);
        if (answer != 0)
            return answer;
        if (at.revents & POLLHUP)
            return lc_error_set(err, LC_E_SYSTEM, "the logger died at its start");
    }
    return lc_error_set(err, LC_E_SYSTEM, "the logger was not ready after %d s",
                        START_LIMIT_MS / 1000);
}

int lc_logs_start(struct lc_master *m, struct lc_error *err)
{
    if (open_records(m, err) < 0 || open_output(m, err) < 0 || start_process(m, err) < 0)
        return -1;
    if (await_ready(m, err) < 0)
        return -1;
    lc_log_open(m->records[1], lc_script_log_level(m->serving->config));
    return 0;
}

void lc_logs_hear(struct lc_master *m)
{
    struct lc_error err;

    if (m->logger == NULL)
        return;
    switch (answer_of(m->logger, &err)) {
    case 1: lc_backoff_reset(&m->logger_backoff); break;
    /* The log would be the wrong place to say that there is none. */
    case -1: fprintf(stderr, "licorne: the logger cannot start: %s\n", err.text); break;
    default: break;
    }
}

void lc_logs_on_death(struct lc_master *m, int status)
{
    int pid = (int)m->logger->pid;
    bool was_leaving = m->is_logger_leaving;

    lc_logs_hear(m);
    lc_child_forget(m->logger);
    m->logger = NULL;
    m->is_logger_leaving = false;
    if (was_leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFSIGNALED(status))
        lc_log(LC_WARN, "Logger (pid:%d) was sent %s! Its successor goes on.", pid,
               lc_signal_name(WTERMSIG(status)));
    else
        lc_log(LC_WARN, "Logger (pid:%d) exited with code %d! Its successor goes on.",
               pid, WEXITSTATUS(status));
}

void lc_logs_adjust(struct lc_master *m)
{
    uint64_t now = lc_clock_ms();
    struct lc_error err;

    if (m->logger != NULL)
        return;
    if (!lc_backoff_is_over(&m->logger_backoff, now)) {
        lc_master_wake_at(m, m->logger_backoff.until_ms);
        return;
    }
    /* The first successor starts at once; until one is ready, each next one a bit later. */
    lc_backoff_failed(&m->logger_backoff, now);
    if (start_process(m, &err) < 0)
        fprintf(stderr, "licorne: the logger cannot start: %s\n", err.text);
}

static bool has_ended(struct lc_child *logger, uint64_t end)
{
    for (uint64_t now; (now = lc_clock_ms()) < end;) {
        /* The channel closes when the process ends. */
        struct pollfd at = {.fd = logger->channel, .events = 0};

        if (poll(&at, 1, (int)(end - now)) > 0)
            return true;
    }
    return false;
}

static void await_end(struct lc_master *m)
{
    if (!has_ended(m->logger, lc_clock_ms() + STOP_LIMIT_MS)) {
        fprintf(stderr, "licorne: the logger has not ended after %d s: SIGKILL\n",
                STOP_LIMIT_MS / 1000);
        kill(m->logger->pid, SIGKILL);
    }
    waitpid(m->logger->pid, NULL, 0);
    lc_child_forget(m->logger);
    m->logger = NULL;
}

void lc_logs_stop(struct lc_master *m)
{
    struct lc_error err;

    if (m->logger != NULL && m->is_logger_leaving)
        await_end(m); /* what has come since is its successor's */
    if (m->logger == NULL && (m->records[1] < 0 || start_process(m, &err) < 0))
        return;
    tell(m, LC_MSG_STOP, NULL, 0);
    await_end(m);
}
