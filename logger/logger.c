#include "logger/logger.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/script.h"
#include "logger/capture.h"
#include "logger/receive.h"
#include "logger/stream_set.h"

#include <licorne/error.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum {
    EXIT_LOGGER = 1, /* as Gunicorn's when a log cannot be written */

    /* A sender that never pauses must not keep us from ending. */
    LAST_READS_MS = 2000,
    /* What a reader of stdout gets to catch up. */
    LAST_WRITES_MS = 2000,
    /* Workers that outlive a master which was killed still log what they finish. */
    ORPHAN_MS = 60000,
};

struct logger {
    uv_loop_t loop;
    uv_poll_t channel, records, output;
    uv_timer_t orphaned;
    struct lc_stream_set streams;
    struct lc_receiver receiver;
    struct lc_capture capture;
    const struct lc_inherit *inherit;
    bool is_ready; /* LC_MSG_READY was sent: records are being read */
    int exit_code;
    char message[LC_MSG_MAX];
};

/* lc_log has no place for a context. */
static struct logger *the;

/* What it says about its own destinations is counted by nobody. */
static void on_own_record(enum lc_stream_id stream, struct lc_slice text)
{
    if (stream == LC_STREAM_ERROR)
        lc_streams_report(&the->streams, text);
}

/* --- records ------------------------------------------------------------------------------ */

static void on_records(uv_poll_t *handle, int status, int events)
{
    struct logger *logger = handle->data;

    if (lc_receive(&logger->receiver) == LC_RECEIVED_END)
        uv_stop(&logger->loop);
}

/* --- what applications print --------------------------------------------------------------- */

enum { PRINTED_PER_TURN = 32 };

static void on_output(uv_poll_t *handle, int status, int events)
{
    struct logger *logger = handle->data;
    struct lc_slice lines;

    for (int i = 0; i < PRINTED_PER_TURN && lc_capture_next(&logger->capture, &lines);
         i++)
        lc_streams_write(&logger->streams, LC_STREAM_ERROR, lines);
    lc_streams_flush(&logger->streams);
}

/* --- what the master says ----------------------------------------------------------------- */

static void boot_failed(struct logger *logger, const struct lc_error *err)
{
    struct lc_msg_boot_failed failed = {.exit_code = EXIT_LOGGER};

    snprintf(failed.text, sizeof(failed.text), "%.*s", (int)sizeof(failed.text) - 1,
             err->text);
    if (lc_channel_send(logger->inherit->channel, LC_MSG_BOOT_FAILED,
                        logger->inherit->generation, &failed, sizeof(failed)) < 0)
        lc_log(LC_ERROR, "%s", err->text); /* there is no stream yet: stderr */
    logger->exit_code = EXIT_LOGGER;
    uv_stop(&logger->loop);
}

static void on_streams(struct logger *logger, struct lc_slice payload)
{
    struct lc_error err;

    if (lc_streams_replace(&logger->streams, payload, &err) < 0) {
        if (!logger->is_ready) {
            boot_failed(logger, &err);
            return;
        }
        lc_log(LC_ERROR, "the logs stay as they were: %s", err.text);
    } else if (!logger->is_ready) {
        logger->is_ready = true;
        uv_poll_start(&logger->records, UV_READABLE, on_records);
        if (logger->capture.fd >= 0)
            uv_poll_start(&logger->output, UV_READABLE, on_output);
        lc_channel_send(logger->inherit->channel, LC_MSG_READY,
                        logger->inherit->generation, NULL, 0);
    }
}

static void on_orphan_timeout(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Nobody says any more when the last worker has gone. But the record socket does: it has no
 * sender left then. */
static void on_master_gone(struct logger *logger)
{
    uv_poll_stop(&logger->channel);
    if (logger->is_ready)
        uv_timer_start(&logger->orphaned, on_orphan_timeout, ORPHAN_MS, 0);
    else
        uv_stop(&logger->loop);
}

static void on_message(struct logger *logger, const struct lc_msg_head *head)
{
    switch ((enum lc_msg_type)head->type) {
    case LC_MSG_STREAMS:
        on_streams(logger, (struct lc_slice){logger->message, head->length});
        return;
    case LC_MSG_REOPEN: lc_streams_reopen(&logger->streams); return;
    case LC_MSG_STOP: uv_stop(&logger->loop); return;
    case LC_MSG_READY:
    case LC_MSG_BOOT_FAILED:
    case LC_MSG_RETIRING:
    case LC_MSG_SOURCES:
    case LC_MSG_TRACEBACK:
    case LC_MSG_LOST:
    case LC_MSG_RECORDS:
    case LC_MSG_CREDENTIALS:
    case LC_MSG_CONNECTION: break;
    }
    lc_log(LC_ERROR, "the logger does not know message type %u", head->type);
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
    struct logger *logger = handle->data;
    struct lc_msg_head head;
    ssize_t len = lc_channel_receive(logger->inherit->channel, &head, logger->message,
                                     sizeof(logger->message));

    if (len >= 0)
        on_message(logger, &head);
    else if (errno == EBADMSG)
        lc_log(LC_ERROR, "the logger got a malformed message from the master");
    else if (errno != EAGAIN)
        on_master_gone(logger);
    lc_streams_flush(&logger->streams); /* what there was to say about it */
}

/* --- life --------------------------------------------------------------------------------- */

/* Ctrl-C in a terminal reaches the whole process group, and so may any other signal that is
 * meant for the master. The logger must outlive all who log: it leaves when it is told to. */
static void ignore_signals(void)
{
    static const int ignored[] = {
        SIGINT,  SIGTERM, SIGQUIT, SIGHUP,   SIGUSR1, SIGUSR2,
        SIGPIPE, SIGTTIN, SIGTTOU, SIGWINCH, SIGXFSZ,
    };

    for (size_t i = 0; i < LC_COUNT(ignored); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

/* Both return 0, or libuv's error code. */
static int watch(struct logger *logger, uv_poll_t *handle, int fd)
{
    if (lc_fd_set_nonblocking(fd) < 0)
        return uv_translate_sys_error(errno);
    handle->data = logger;
    return uv_poll_init(&logger->loop, handle, fd);
}

static int set_up(struct logger *logger)
{
    const struct lc_inherit *inherit = logger->inherit;
    int status = uv_loop_init(&logger->loop);

    if (status < 0)
        return status;
    lc_streams_init(&logger->streams, &logger->loop);
    if (lc_script_writes_logs(inherit->config))
        logger->streams.scripted = inherit->config;
    uv_timer_init(&logger->loop, &logger->orphaned);
    logger->receiver.fd = inherit->records;
    logger->receiver.streams = &logger->streams;
    lc_handover_init(&logger->receiver.handover, &inherit->scoreboard->log_note,
                     &logger->streams);
    if ((status = watch(logger, &logger->channel, inherit->channel)) < 0 ||
        (status = watch(logger, &logger->records, inherit->records)) < 0)
        return status;
    logger->capture.fd = inherit->output;
    if (inherit->output >= 0 &&
        (status = watch(logger, &logger->output, inherit->output)) < 0)
        return status;
    return uv_poll_start(&logger->channel, UV_READABLE, on_channel);
}

/* What was sent before this moment is written. */
static void write_the_rest(struct logger *logger)
{
    uint64_t end = lc_clock_ms() + LAST_READS_MS;

    while (lc_receive(&logger->receiver) == LC_RECEIVED_SOME && lc_clock_ms() < end)
        continue;
    if (logger->capture.fd >= 0) {
        on_output(&logger->output, 0, 0);
        lc_streams_write(&logger->streams, LC_STREAM_ERROR,
                         lc_capture_rest(&logger->capture));
    }
    lc_streams_drain(&logger->streams, LAST_WRITES_MS);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void tear_down(struct logger *logger)
{
    lc_log_open(-1, LC_INFO); /* what is left to say goes to stderr */
    the = NULL;
    lc_streams_deinit(&logger->streams);
    uv_walk(&logger->loop, close_handle, NULL);
    uv_run(&logger->loop, UV_RUN_DEFAULT);
    uv_loop_close(&logger->loop);
}

int lc_logger_run(const struct lc_inherit *inherit)
{
    struct logger *logger = lc_new(struct logger);

    ignore_signals();
    lc_log_open(-1, LC_INFO);
    logger->inherit = inherit;

    int status = set_up(logger);
    if (status < 0) {
        lc_log(LC_CRITICAL, "the logger cannot start: %s", uv_strerror(status));
        return EXIT_LOGGER; /* the process ends; nothing is worth taking apart */
    }
    the = logger;
    lc_log_divert(on_own_record, LC_INFO);
    uv_run(&logger->loop, UV_RUN_DEFAULT);
    if (logger->is_ready)
        write_the_rest(logger);
    tear_down(logger);

    int exit_code = logger->exit_code;
    free(logger);
    return exit_code;
}
