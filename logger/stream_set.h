/* logger/stream_set.h — which stream each kind of record goes to.
 *
 * Kinds that name the same file share one stream, so their lines stand in the file in the order
 * in which they came. */
#pragma once
#include "base/log.h"
#include "logger/statsd.h"
#include "logger/syslog.h"

#include <uv.h>

struct lc_config;
struct lc_error;
struct lc_record;
struct lc_stream;

struct lc_stream_set {
    uv_loop_t *loop;
    uv_timer_t tick;                          /* runs while a stream is behind */
    struct lc_stream *by_id[LC_STREAM_COUNT]; /* NULL: nowhere; metrics: always */
    const struct lc_config
        *scripted;           /* its logger writes what else these two would; or NULL */
    char owner[32];          /* "UID:GID" of files, or "" */
    struct lc_syslog syslog; /* gets copies of what the others get */
    struct lc_statsd statsd;
};

void lc_streams_init(struct lc_stream_set *set, uv_loop_t *loop);
/* Then run the loop until it is empty. */
void lc_streams_deinit(struct lc_stream_set *set);

/* What the calls below have to say is logged: a flush should follow. */

/* Opens what the payload of an LC_MSG_STREAMS names, then closes what was open before. -1 with
 * `err`, and nothing has changed, if the payload is wrong or something cannot be opened. */
int lc_streams_replace(struct lc_stream_set *set, struct lc_slice payload,
                       struct lc_error *err);

/* Opens every file anew by its name. One that cannot be opened is kept as it is; this is
 * logged. */
void lc_streams_reopen(struct lc_stream_set *set);

void lc_streams_write(struct lc_stream_set *set, enum lc_stream_id id,
                      struct lc_slice text);

/* The record also goes to daemons that want it. */
void lc_streams_copy(struct lc_stream_set *set, const struct lc_record *record);

/* The lowest kind with the same stream; -1 when this kind goes nowhere. */
int lc_streams_first(const struct lc_stream_set *set, enum lc_stream_id id);

/* A record of the logger's own: to the error log, and to stderr as well when that is in trouble. */
void lc_streams_report(struct lc_stream_set *set, struct lc_slice text);

/* Writes what the streams can take now. The rest follows as the loop runs. */
void lc_streams_flush(struct lc_stream_set *set);

/* Before the end: gives slow readers until `limit_ms` from now, and tells what did not leave. */
void lc_streams_drain(struct lc_stream_set *set, int limit_ms);
