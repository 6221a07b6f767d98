/* logger/statsd.h — metrics on their way to a statsd daemon: one packet each, with the prefix and
 * the tags that the settings name. */
#pragma once
#include <uv.h>

struct lc_error;
struct lc_log_targets;
struct lc_record;
struct lc_stream;

struct lc_statsd {
    struct lc_stream *stream; /* NULL: no statsd */
    char *prefix;             /* "shop." or "" */
    char *tags;               /* "|#a,b" or "" */
};

int lc_statsd_open(struct lc_statsd *statsd, uv_loop_t *loop,
                   const struct lc_log_targets *targets, struct lc_error *err);
void lc_statsd_close(struct lc_statsd *statsd);

/* Takes a record of LC_STREAM_METRICS: a metric on each line. */
void lc_statsd_write(struct lc_statsd *statsd, const struct lc_record *record);
