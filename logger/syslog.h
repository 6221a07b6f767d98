/* logger/syslog.h — copies of error and access records for a syslog daemon.
 *
 * "<PRI>gunicorn.NAME.error: [PID] text" and a NUL, as Gunicorn sends it (RFC 3164 without time and
 * host, which the daemon adds). */
#pragma once
#include <stdbool.h>
#include <uv.h>

struct lc_error;
struct lc_log_targets;
struct lc_record;
struct lc_stream;

struct lc_syslog {
    struct lc_stream *stream; /* NULL: no syslog */
    char *prefix;
    int facility;
    bool takes_access;
};

/* What `targets` say; -1 and `err` where that is wrong. */
int lc_syslog_open(struct lc_syslog *syslog, uv_loop_t *loop,
                   const struct lc_log_targets *targets, struct lc_error *err);
void lc_syslog_close(struct lc_syslog *syslog);

/* Takes a copy if it is meant for syslog. */
void lc_syslog_write(struct lc_syslog *syslog, const struct lc_record *record);
