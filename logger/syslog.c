#include "logger/syslog.h"

#include "base/mem.h"
#include "config/remote.h"
#include "logger/record.h"
#include "logger/stream.h"
#include "logger/targets.h"

#include <licorne/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a datagram can hold, its head included. */
enum { PACKET_MAX = 60000 };

int lc_syslog_open(struct lc_syslog *syslog, uv_loop_t *loop,
                   const struct lc_log_targets *targets, struct lc_error *err)
{
    *syslog = (struct lc_syslog){0};
    if (*targets->syslog == '\0')
        return 0;
    syslog->facility = lc_syslog_facility(targets->syslog_facility);
    if (syslog->facility < 0)
        return lc_error_set(err, LC_E_CONFIG, "syslog_facility '%s': there is none",
                            targets->syslog_facility);
    syslog->prefix = lc_strdup(targets->syslog_prefix);
    syslog->takes_access = *targets->syslog_access != '\0';
    syslog->stream = lc_stream_create(loop, "remote", targets->syslog, err);
    if (syslog->stream != NULL)
        return 0;
    lc_syslog_close(syslog);
    return lc_error_wrap(err, "syslog_addr");
}

void lc_syslog_close(struct lc_syslog *syslog)
{
    lc_stream_destroy(syslog->stream);
    free(syslog->prefix);
    *syslog = (struct lc_syslog){0};
}

/* RFC 5424, 6.2.1 */
static int severity(const struct lc_record *record)
{
    switch (record->level) {
    case LC_DEBUG: return 7;
    case LC_INFO: return 6;
    case LC_WARN: return 4;
    case LC_ERROR: return 3;
    case LC_CRITICAL: return 2;
    }
    return 6;
}

/* Behind "[time] [pid] [level] ", which a daemon adds in its own way. */
static struct lc_slice message_of(const struct lc_record *record)
{
    struct lc_slice text = record->text;

    for (int i = 0; record->has_level && i < 3; i++) {
        const char *end = memchr(text.at, ']', text.len);

        if (end == NULL || (size_t)(end + 2 - text.at) > text.len)
            break;
        text.len -= (size_t)(end + 2 - text.at);
        text.at = end + 2;
    }
    if (text.len > 0 && text.at[text.len - 1] == '\n')
        text.len--;
    return text;
}

void lc_syslog_write(struct lc_syslog *syslog, const struct lc_record *record)
{
    bool is_access = record->stream == LC_STREAM_ACCESS;
    char head[512];

    if (syslog->stream == NULL || record->stream == LC_STREAM_METRICS ||
        (is_access && !syslog->takes_access))
        return;

    int len = snprintf(head, sizeof(head), "<%d>gunicorn.%.400s.%s: [%d] ",
                       syslog->facility * 8 + severity(record), syslog->prefix,
                       is_access ? "access" : "error", (int)record->pid);
    struct lc_slice message = message_of(record);
    if (message.len > PACKET_MAX - sizeof(head))
        message.len = PACKET_MAX - sizeof(head);

    LC_AUTOFREE char *packet = lc_malloc((size_t)len + message.len + 1);
    memcpy(packet, head, (size_t)len);
    memcpy(packet + len, message.at, message.len);
    packet[(size_t)len + message.len] = '\0';
    lc_stream_write(syslog->stream,
                    (struct lc_slice){packet, (size_t)len + message.len + 1});
}
