#include "app/access.h"

#include "app/format.h"
#include "app/request.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/script.h"

#include <licorne/error.h>

#include <string.h>

/* What a message on the record socket has room for, newline included. */
enum {
    ROOM_MAX = LC_MSG_MAX - sizeof(struct lc_msg_head) - sizeof(struct lc_record_head) - 1
};

struct lc_access_log {
    struct lc_format *format;
};

/* In a file, by Python's logging, or in syslog. */
static bool is_wanted(const struct lc_config *config)
{
    if (lc_script_makes_access_lines(config))
        return false;
    return (config->accesslog != NULL && config->accesslog[0] != '\0') ||
           config->logconfig != NULL || config->logconfig_json != NULL ||
           (config->logconfig_dict != NULL &&
            strcmp(config->logconfig_dict, "{}") != 0) ||
           (config->syslog && !config->disable_redirect_access_to_syslog);
}

struct lc_access_log *lc_access_log_create(const struct lc_config *config,
                                           struct lc_error *err)
{
    const char *text = config->access_log_format;

    if (err != NULL)
        err->code = LC_E_NONE;
    if (!is_wanted(config))
        return NULL;

    struct lc_format *format = lc_format_create(text != NULL ? text : "", err);
    if (format == NULL) {
        lc_error_wrap(err, "access_log_format");
        return NULL;
    }
    struct lc_access_log *log = lc_new(struct lc_access_log);
    log->format = format;
    return log;
}

void lc_access_log_destroy(struct lc_access_log *log)
{
    if (log == NULL)
        return;
    lc_format_destroy(log->format);
    free(log);
}

void lc_access_log_write(struct lc_access_log *log, const struct lc_request *request,
                         uint64_t now_us)
{
    size_t room = lc_format_prepare(log->format, request, now_us);

    if (room > ROOM_MAX)
        room = ROOM_MAX;
    char *line = lc_log_reserve(LC_STREAM_ACCESS, room);
    if (line != NULL)
        lc_log_commit(lc_format_write(log->format, line, room));
}

static struct lc_slice text_in(const char *field, size_t size)
{
    return (struct lc_slice){field, strnlen(field, size)};
}

void lc_access_log_write_lost(struct lc_access_log *log, const struct lc_msg_lost *lost,
                              uint64_t now_us)
{
    struct lc_request *request = lc_new(struct lc_request);
    LC_AUTOFREE char *client = lc_strndup(lost->client, sizeof(lost->client) - 1);
    struct lc_endpoints endpoints = {.remote_addr = client};
    struct lc_keep keep = {0};
    _Alignas(16) char block[1024];

    lc_arena_init(&request->arena, block, sizeof(block));
    request->headers = request->first_headers;
    request->header_room = LC_HEAD_COUNT;
    request->version = 11;
    request->method = text_in(lost->method, sizeof(lost->method));
    request->target = text_in(lost->target, sizeof(lost->target));
    lc_request_split_target(request);
    request->endpoints = &endpoints;
    request->keep = &keep;
    request->body.fd = -1;
    request->response.status = lost->status;
    request->started_us = now_us - lost->age_ms * 1000;
    lc_access_log_write(log, request, now_us);
    lc_arena_reset(&request->arena);
    free(request);
}
