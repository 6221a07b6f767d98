#include "logger/stream.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "logger/backlog.h"
#include "logger/streams/streams.h"

#include <licorne/error.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum { SLOW_REPORT_MS = 10000 };

struct lc_stream {
    const struct lc_stream_ops *ops;
    void *state;
    char *target;
    uv_loop_t *loop;
    uv_poll_t *writable; /* while a reader is slow, else NULL */
    struct lc_backlog backlog;
    int trouble;             /* errno of the write that failed, 0 when all is well */
    uint64_t reported;       /* of backlog.dropped                                  */
    uint64_t reported_at_ms; /* lc_clock_ms                                         */
};

static const struct lc_stream_ops *ops_for(const char *type)
{
    for (size_t i = 0; lc_stream_types[i] != NULL; i++)
        if (strcmp(lc_stream_types[i]->name, type) == 0)
            return lc_stream_types[i];
    return NULL;
}

struct lc_stream *lc_stream_create(uv_loop_t *loop, const char *type, const char *target,
                                   struct lc_error *err)
{
    struct lc_stream *stream = lc_new(struct lc_stream);

    stream->loop = loop;
    stream->target = lc_strdup(target);
    lc_backlog_init(&stream->backlog, LC_STREAM_BACKLOG);
    stream->ops = ops_for(type);
    if (stream->ops == NULL) {
        lc_error_set(err, LC_E_CONFIG, "there is no log stream of type '%s'", type);
        goto fail;
    }
    stream->state = stream->ops->open(target, err);
    if (stream->state == NULL)
        goto fail;
    return stream;
fail:
    lc_stream_destroy(stream); /* accepts a half-built one */
    return NULL;
}

struct lc_stream *lc_stream_create_again(const struct lc_stream *stream,
                                         struct lc_error *err)
{
    return lc_stream_create(stream->loop, stream->ops->name, stream->target, err);
}

/* --- waiting for a slow reader ------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_waiting(struct lc_stream *stream)
{
    if (stream->writable == NULL)
        return;
    uv_poll_stop(stream->writable);
    uv_close((uv_handle_t *)stream->writable, on_closed);
    stream->writable = NULL;
}

static void on_writable(uv_poll_t *handle, int status, int events)
{
    lc_stream_flush(handle->data);
}

static void start_waiting(struct lc_stream *stream)
{
    if (stream->writable != NULL)
        return;

    uv_poll_t *handle = lc_new(uv_poll_t);
    if (uv_poll_init(stream->loop, handle, stream->ops->descriptor(stream->state)) < 0) {
        free(handle); /* nothing that epoll knows: the next tick tries again */
        return;
    }
    handle->data = stream;
    uv_poll_start(handle, UV_WRITABLE, on_writable);
    stream->writable = handle;
}

/* --- what the administrator hears --------------------------------------------------------- */

const char *lc_stream_name(const struct lc_stream *stream)
{
    return *stream->target != '\0' ? stream->target : stream->ops->name;
}

static uint64_t unreported(const struct lc_stream *stream)
{
    return stream->backlog.dropped - stream->reported;
}

static void mark_reported(struct lc_stream *stream)
{
    stream->reported = stream->backlog.dropped;
    stream->reported_at_ms = lc_clock_ms();
}

static void report_slowness(struct lc_stream *stream)
{
    uint64_t count = unreported(stream);

    if (count == 0)
        return;
    mark_reported(stream);
    lc_log(LC_WARN, "%" PRIu64 " log records for %s were dropped: it could not keep up",
           count, lc_stream_name(stream));
}

/* Said once, however long it lasts. */
static void begin_trouble(struct lc_stream *stream, int reason)
{
    bool is_new = stream->trouble == 0;

    stream->trouble = reason;
    if (is_new)
        lc_log(LC_ERROR,
               "cannot write to %s: %s; up to %d MiB of records wait for it, "
               "more are dropped",
               lc_stream_name(stream), strerror(reason), LC_STREAM_BACKLOG >> 20);
}

static void end_trouble(struct lc_stream *stream)
{
    uint64_t count = unreported(stream);
    int reason = stream->trouble;

    stream->trouble = 0;
    mark_reported(stream);
    if (count == 0)
        lc_log(LC_WARN, "%s can be written again; no record was lost",
               lc_stream_name(stream));
    else
        lc_log(LC_WARN,
               "%s can be written again; %" PRIu64 " log records were dropped: %s",
               lc_stream_name(stream), count, strerror(reason));
}

/* --- writing ------------------------------------------------------------------------------ */

void lc_stream_write(struct lc_stream *stream, struct lc_slice text)
{
    lc_backlog_add(&stream->backlog, text);
}

static void try_to_write(struct lc_stream *stream)
{
    if (stream->ops->flush(stream->state, &stream->backlog) == 0) {
        stop_waiting(stream);
        if (stream->trouble != 0)
            end_trouble(stream);
        else
            report_slowness(stream);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        start_waiting(stream);
    } else {
        begin_trouble(stream, errno);
        stop_waiting(stream);
    }
}

void lc_stream_flush(struct lc_stream *stream)
{
    if (stream->trouble == 0 && lc_stream_waiting(stream) > 0)
        try_to_write(stream);
}

void lc_stream_tick(struct lc_stream *stream)
{
    try_to_write(stream);
    if (stream->trouble == 0 && lc_clock_ms() - stream->reported_at_ms >= SLOW_REPORT_MS)
        report_slowness(stream);
}

void lc_stream_drain(struct lc_stream *stream, uint64_t end_ms)
{
    try_to_write(stream);
    while (stream->trouble == 0 && lc_stream_waiting(stream) > 0) {
        struct pollfd writable = {.fd = stream->ops->descriptor(stream->state),
                                  .events = POLLOUT};
        uint64_t now = lc_clock_ms();

        if (now >= end_ms)
            break;
        poll(&writable, 1, (int)(end_ms - now));
        try_to_write(stream);
    }
}

void lc_stream_take_over(struct lc_stream *fresh, struct lc_stream *old)
{
    struct lc_backlog empty = fresh->backlog;

    if (lc_stream_waiting(old) > 0)
        try_to_write(old);
    stop_waiting(old);
    fresh->backlog = old->backlog;
    fresh->trouble = old->trouble;
    fresh->reported = old->reported;
    fresh->reported_at_ms = old->reported_at_ms;
    old->backlog = empty;
    if (!lc_stream_is_same_file(fresh, old))
        lc_backlog_restart_record(&fresh->backlog);
}

void lc_stream_destroy(struct lc_stream *stream)
{
    if (stream == NULL)
        return;
    stop_waiting(stream);
    if (stream->ops != NULL && stream->state != NULL)
        stream->ops->close(stream->state);
    lc_backlog_deinit(&stream->backlog);
    free(stream->target);
    free(stream);
}

/* --- questions ---------------------------------------------------------------------------- */

size_t lc_stream_waiting(const struct lc_stream *stream)
{
    return lc_backlog_count(&stream->backlog);
}

bool lc_stream_is_in_trouble(const struct lc_stream *stream)
{
    return stream->trouble != 0;
}

bool lc_stream_needs_tick(const struct lc_stream *stream)
{
    return lc_stream_waiting(stream) > 0 || unreported(stream) > 0;
}

bool lc_stream_is_same_target(const struct lc_stream *a, const struct lc_stream *b)
{
    return a->ops == b->ops && strcmp(a->target, b->target) == 0;
}

bool lc_stream_is_same_file(const struct lc_stream *a, const struct lc_stream *b)
{
    struct stat sa, sb;

    return a->ops == b->ops && fstat(a->ops->descriptor(a->state), &sa) == 0 &&
           fstat(b->ops->descriptor(b->state), &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

bool lc_stream_is_file(const struct lc_stream *stream)
{
    return stream->ops == &lc_stream_file;
}

int lc_stream_descriptor(const struct lc_stream *stream)
{
    return stream->ops->descriptor(stream->state);
}
