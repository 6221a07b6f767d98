#include "app/access.h"

#include "app/format.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"

#include <licorne/error.h>

/* What a message on the record socket has room for, newline included. */
enum {
    ROOM_MAX = LC_MSG_MAX - sizeof(struct lc_msg_head) - sizeof(struct lc_record_head) - 1
};

struct lc_access_log {
    struct lc_format *format;
};

/* In a file, or in syslog, or both. */
static bool is_wanted(const struct lc_config *config)
{
    return (config->accesslog != NULL && config->accesslog[0] != '\0') ||
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
