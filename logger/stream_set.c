#include "logger/stream_set.h"

#include "base/clock.h"
#include "base/mem.h"
#include "logger/stream.h"

#include <licorne/error.h>

#include <poll.h>
#include <string.h>
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

static int open_one(struct lc_stream_set *set, struct lc_stream **by_id, int id,
                    const char *text, struct lc_error *err)
{
    if (*text == '\0')
        return 0;

    struct target target = target_of((enum lc_stream_id)id, text);
    struct lc_stream *stream = lc_stream_create(set->loop, target.type, target.name, err);
    if (stream == NULL)
        return lc_error_wrap(err, "%s", setting_names[id]);
    by_id[id] = share(by_id, id, stream);
    return 0;
}

static int open_all(struct lc_stream_set *set, struct lc_stream **by_id,
                    struct lc_slice payload, struct lc_error *err)
{
    for (int id = 0; id < LC_STREAM_COUNT; id++) {
        const char *end = payload.len == 0 ? NULL : memchr(payload.at, '\0', payload.len);

        if (end == NULL)
            return lc_error_set(err, LC_E_PROTOCOL, "the list of log streams is cut");
        if (open_one(set, by_id, id, payload.at, err) < 0)
            return -1;
        payload.len -= (size_t)(end - payload.at) + 1;
        payload.at = end + 1;
    }
    if (payload.len != 0)
        return lc_error_set(err, LC_E_PROTOCOL, "the list of log streams is too long");
    return 0;
}

/* --- changing ----------------------------------------------------------------------------- */

static struct lc_stream *find_same(struct lc_stream *const *by_id,
                                   const struct lc_stream *wanted)
{
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        if (by_id[id] != NULL && lc_stream_is_same_target(by_id[id], wanted))
            return by_id[id];
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

int lc_streams_replace(struct lc_stream_set *set, struct lc_slice payload,
                       struct lc_error *err)
{
    struct lc_stream *fresh[LC_STREAM_COUNT] = {NULL};
    struct lc_stream *old[LC_STREAM_COUNT];

    if (open_all(set, fresh, payload, err) < 0) {
        destroy_all(fresh);
        return -1;
    }
    memcpy(old, set->by_id, sizeof(old));
    memcpy(set->by_id, fresh, sizeof(fresh));
    for (int id = 0; id < LC_STREAM_COUNT; id++) {
        struct lc_stream *stream = first_of(old, id);
        struct lc_stream *heir = stream != NULL ? find_same(fresh, stream) : NULL;

        if (heir != NULL)
            lc_stream_take_over(heir, stream);
        else if (stream != NULL)
            dismiss(stream);
    }
    destroy_all(old);
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
    lc_stream_take_over(fresh, old);
    for (int i = id; i < LC_STREAM_COUNT; i++)
        if (set->by_id[i] == old)
            set->by_id[i] = fresh;
    lc_stream_destroy(old);
}

void lc_streams_reopen(struct lc_stream_set *set)
{
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        if (first_of(set->by_id, id) != NULL)
            reopen(set, id);
}

/* --- writing ------------------------------------------------------------------------------ */

void lc_streams_write(struct lc_stream_set *set, enum lc_stream_id id,
                      struct lc_slice text)
{
    if (set->by_id[id] != NULL)
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
    return false;
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

void lc_streams_drain(struct lc_stream_set *set, int limit_ms)
{
    uint64_t end_ms = lc_clock_ms() + (uint64_t)limit_ms;

    for (int id = LC_STREAM_COUNT - 1; id >= 0; id--) { /* the error log last */
        struct lc_stream *stream = first_of(set->by_id, id);

        if (stream != NULL)
            lc_stream_drain(stream, end_ms);
        if (stream != NULL && lc_stream_waiting(stream) > 0)
            lc_log(LC_ERROR, "%zu log records for %s could not be written",
                   lc_stream_waiting(stream), lc_stream_name(stream));
    }
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
    destroy_all(set->by_id);
    uv_close((uv_handle_t *)&set->tick, NULL);
}
