#include "logger/stream_set.h"

#include "base/clock.h"
#include "base/mem.h"
#include "config/script.h"
#include "logger/record.h"
#include "logger/stream.h"
#include "logger/streams/streams.h"
#include "logger/targets.h"

#include <licorne/error.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TICK_MS = 1000 };

/* Settings that name the streams, for messages. */
static const char *const setting_names[LC_STREAM_COUNT] = {
    [LC_STREAM_ERROR] = "errorlog",
    [LC_STREAM_ACCESS] = "accesslog",
};

/* --- each stream once --------------------------------------------------------------------- */

static struct lc_stream *first_of(struct lc_stream *const *by_id, int id)
{
    for (int i = 0; i < id; i++)
        if (by_id[i] == by_id[id])
            return NULL; /* shared, and met before */
    return by_id[id];
}

static void destroy_all(struct lc_stream **by_id)
{
    for (int id = LC_STREAM_COUNT - 1; id >= 0; id--) {
        lc_stream_destroy(first_of(by_id, id));
        by_id[id] = NULL;
    }
}

static void for_each(struct lc_stream_set *set, void (*what)(struct lc_stream *))
{
    for (int id = 0; id < LC_STREAM_COUNT; id++) {
        struct lc_stream *stream = first_of(set->by_id, id);

        if (stream != NULL)
            what(stream);
    }
    if (set->syslog.stream != NULL)
        what(set->syslog.stream);
    if (set->statsd.stream != NULL)
        what(set->statsd.stream);
}

/* --- opening ------------------------------------------------------------------------------ */

struct target {
    const char *type;
    const char *name; /* "" where the type says it all */
};

/* "-" and /dev/stdout mean the descriptor that was inherited. Opening the device by name fails
 * for a socket, and for another user's pipe. */
static struct target target_of(enum lc_stream_id id, const char *text)
{
    bool is_dash = strcmp(text, "-") == 0;

    if (strcmp(text, "/dev/stdout") == 0 || (is_dash && id == LC_STREAM_ACCESS))
        return (struct target){"stdout", ""};
    if (strcmp(text, "/dev/stderr") == 0 || is_dash)
        return (struct target){"stderr", ""};
    return (struct target){"file", text};
}

/* Another kind may have opened the same file already, under this name or another. */
static struct lc_stream *share(struct lc_stream *const *by_id, int id,
                               struct lc_stream *stream)
{
    for (int i = 0; i < id; i++) {
        if (by_id[i] != NULL && by_id[i] != stream &&
            lc_stream_is_same_file(by_id[i], stream)) {
            lc_stream_destroy(stream);
            return by_id[i];
        }
    }
    return stream;
}

/* The workers' user may read and rotate them. What cannot be given away stays the master's. */
static void give_to(const struct lc_stream *stream, const char *owner)
{
    char *end;
    unsigned long uid = strtoul(owner, &end, 10);
    struct stat st;

    if (*owner == '\0' || *end != ':' || fstat(lc_stream_descriptor(stream), &st) < 0 ||
        !S_ISREG(st.st_mode))
        return;
    gid_t gid = (gid_t)strtoul(end + 1, NULL, 10);
    if ((st.st_uid != uid || st.st_gid != gid) &&
        fchown(lc_stream_descriptor(stream), (uid_t)uid, gid) < 0)
        lc_log(LC_WARN, "%s cannot be given to user:group %s: %s", lc_stream_name(stream),
               owner, strerror(errno));
}

static int open_one(struct lc_stream_set *set, int id, const char *text,
                    struct lc_error *err)
{
    if (*text == '\0')
        return 0;

    struct target target = target_of((enum lc_stream_id)id, text);
    struct lc_stream *stream = lc_stream_create(set->loop, target.type, target.name, err);
    if (stream == NULL)
        return lc_error_wrap(err, "%s", setting_names[id]);
    if (lc_stream_is_file(stream))
        give_to(stream, set->owner);
    set->by_id[id] = share(set->by_id, id, stream);
    return 0;
}

/* Into an empty set; what it holds after a failure is the caller's to destroy. */
static int open_all(struct lc_stream_set *fresh, struct lc_slice payload,
                    struct lc_error *err)
{
    struct lc_log_targets targets;

    if (lc_log_targets_read(&targets, payload, err) < 0)
        return -1;
    snprintf(fresh->owner, sizeof(fresh->owner), "%s", targets.owner);
    lc_stream_file_set_mode((mode_t)strtoul(targets.mode, NULL, 8));
    if (open_one(fresh, LC_STREAM_ERROR, targets.error, err) < 0 ||
        open_one(fresh, LC_STREAM_ACCESS, targets.access, err) < 0 ||
        lc_syslog_open(&fresh->syslog, fresh->loop, &targets, err) < 0)
        return -1;
    return lc_statsd_open(&fresh->statsd, fresh->loop, &targets, err);
}

/* --- changing ----------------------------------------------------------------------------- */

static struct lc_stream *find_same(const struct lc_stream_set *set,
                                   const struct lc_stream *wanted)
{
    struct lc_stream *const daemons[] = {set->syslog.stream, set->statsd.stream};

    for (int id = 0; id < LC_STREAM_COUNT; id++)
        if (set->by_id[id] != NULL && lc_stream_is_same_target(set->by_id[id], wanted))
            return set->by_id[id];
    for (size_t i = 0; i < LC_COUNT(daemons); i++)
        if (daemons[i] != NULL && lc_stream_is_same_target(daemons[i], wanted))
            return daemons[i];
    return NULL;
}

/* What a file that is used no longer should still get. */
static void dismiss(struct lc_stream *stream)
{
    lc_stream_drain(stream, lc_clock_ms());
    if (lc_stream_waiting(stream) > 0)
        lc_log(LC_WARN, "%zu log records for %s were dropped: it is no longer used",
               lc_stream_waiting(stream), lc_stream_name(stream));
}

static void bequeath(const struct lc_stream_set *set, struct lc_stream *old)
{
    struct lc_stream *heir = old == NULL ? NULL : find_same(set, old);

    if (heir != NULL)
        lc_stream_take_over(heir, old);
    else if (old != NULL)
        dismiss(old);
}

static void close_all(struct lc_stream_set *set)
{
    destroy_all(set->by_id);
    lc_syslog_close(&set->syslog);
    lc_statsd_close(&set->statsd);
}

/* Without the timer, which stays where it is. */
static void move(struct lc_stream_set *to, const struct lc_stream_set *from)
{
    memcpy(to->by_id, from->by_id, sizeof(to->by_id));
    memcpy(to->owner, from->owner, sizeof(to->owner));
    to->syslog = from->syslog;
    to->statsd = from->statsd;
}

int lc_streams_replace(struct lc_stream_set *set, struct lc_slice payload,
                       struct lc_error *err)
{
    struct lc_stream_set fresh = {.loop = set->loop}, old = {.loop = set->loop};

    if (open_all(&fresh, payload, err) < 0) {
        close_all(&fresh);
        return -1;
    }
    move(&old, set);
    move(set, &fresh);
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        bequeath(set, first_of(old.by_id, id));
    bequeath(set, old.syslog.stream);
    bequeath(set, old.statsd.stream);
    close_all(&old);
    return 0;
}

/* The same stream opened anew, for all kinds that share it. */
static void reopen(struct lc_stream_set *set, int id)
{
    struct lc_stream *old = set->by_id[id];
    struct lc_error err;
    struct lc_stream *fresh = lc_stream_create_again(old, &err);

    if (fresh == NULL) {
        lc_log(LC_ERROR, "%s stays open as it was: %s", setting_names[id], err.text);
        return;
    }
    if (lc_stream_is_file(fresh))
        give_to(fresh, set->owner);
    lc_stream_take_over(fresh, old);
    for (int i = id; i < LC_STREAM_COUNT; i++)
        if (set->by_id[i] == old)
            set->by_id[i] = fresh;
    lc_stream_destroy(old);
}

void lc_streams_reopen(struct lc_stream_set *set)
{
    if (set->scripted != NULL)
        lc_script_reopen_logs(set->scripted);
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        if (first_of(set->by_id, id) != NULL)
            reopen(set, id);
}

/* --- writing ------------------------------------------------------------------------------ */

void lc_streams_copy(struct lc_stream_set *set, const struct lc_record *record)
{
    if (record->stream == LC_STREAM_METRICS)
        lc_statsd_write(&set->statsd, record);
    else
        lc_syslog_write(&set->syslog, record);
}

void lc_streams_write(struct lc_stream_set *set, enum lc_stream_id id,
                      struct lc_slice text)
{
    if (set->scripted != NULL && (id == LC_STREAM_ERROR || id == LC_STREAM_ACCESS))
        lc_script_write_log(set->scripted, id == LC_STREAM_ACCESS, text);
    else if (set->by_id[id] != NULL)
        lc_stream_write(set->by_id[id], text);
}

int lc_streams_first(const struct lc_stream_set *set, enum lc_stream_id id)
{
    int first = 0;

    if (set->by_id[id] == NULL)
        return -1;
    while (set->by_id[first] != set->by_id[id])
        first++;
    return first;
}

/* Never waits: whoever reads our stderr may be asleep. */
static void tell_stderr(struct lc_slice text)
{
    struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT))
        (void)!write(STDERR_FILENO, text.at, text.len);
}

void lc_streams_report(struct lc_stream_set *set, struct lc_slice text)
{
    struct lc_stream *log = set->by_id[LC_STREAM_ERROR];

    if (log != NULL)
        lc_stream_write(log, text);
    if (log == NULL || lc_stream_is_in_trouble(log))
        tell_stderr(text);
}

static bool any_needs_tick(const struct lc_stream_set *set)
{
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        if (set->by_id[id] != NULL && lc_stream_needs_tick(set->by_id[id]))
            return true;
    return (set->syslog.stream != NULL && lc_stream_needs_tick(set->syslog.stream)) ||
           (set->statsd.stream != NULL && lc_stream_needs_tick(set->statsd.stream));
}

static void on_tick(uv_timer_t *timer)
{
    struct lc_stream_set *set = timer->data;

    for_each(set, lc_stream_tick);
    lc_streams_flush(set);
    if (!any_needs_tick(set))
        uv_timer_stop(timer);
}

void lc_streams_flush(struct lc_stream_set *set)
{
    struct lc_stream *log = set->by_id[LC_STREAM_ERROR];

    for_each(set, lc_stream_flush);
    if (log != NULL)
        lc_stream_flush(log); /* what the others had to say */
    if (any_needs_tick(set) && !uv_is_active((uv_handle_t *)&set->tick))
        uv_timer_start(&set->tick, on_tick, TICK_MS, TICK_MS);
}

static void drain(struct lc_stream *stream, uint64_t end_ms)
{
    if (stream == NULL)
        return;
    lc_stream_drain(stream, end_ms);
    if (lc_stream_waiting(stream) > 0)
        lc_log(LC_ERROR, "%zu log records for %s could not be written",
               lc_stream_waiting(stream), lc_stream_name(stream));
}

void lc_streams_drain(struct lc_stream_set *set, int limit_ms)
{
    uint64_t end_ms = lc_clock_ms() + (uint64_t)limit_ms;

    drain(set->statsd.stream, end_ms);
    drain(set->syslog.stream, end_ms);
    for (int id = LC_STREAM_COUNT - 1; id >= 0; id--) /* the error log last */
        drain(first_of(set->by_id, id), end_ms);
}

/* --- life --------------------------------------------------------------------------------- */

void lc_streams_init(struct lc_stream_set *set, uv_loop_t *loop)
{
    *set = (struct lc_stream_set){.loop = loop};
    uv_timer_init(loop, &set->tick);
    set->tick.data = set;
}

void lc_streams_deinit(struct lc_stream_set *set)
{
    close_all(set);
    uv_close((uv_handle_t *)&set->tick, NULL);
}
