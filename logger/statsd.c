#include "logger/statsd.h"

#include "base/mem.h"
#include "logger/record.h"
#include "logger/stream.h"
#include "logger/targets.h"

#include <licorne/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Dots at its end become one. */
static char *normal_prefix(const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '.')
        len--;
    return len == 0 ? lc_strdup("") : lc_printf("%.*s.", (int)len, text);
}

int lc_statsd_open(struct lc_statsd *statsd, uv_loop_t *loop,
                   const struct lc_log_targets *targets, struct lc_error *err)
{
    *statsd = (struct lc_statsd){0};
    if (*targets->statsd == '\0')
        return 0;

    LC_AUTOFREE char *target = lc_printf("statsd:%s", targets->statsd);
    statsd->prefix = normal_prefix(targets->statsd_prefix);
    statsd->tags = *targets->statsd_tags == '\0'
                       ? lc_strdup("")
                       : lc_printf("|#%s", targets->statsd_tags);
    statsd->stream = lc_stream_create(loop, "remote", target, err);
    if (statsd->stream != NULL)
        return 0;
    lc_statsd_close(statsd);
    return lc_error_wrap(err, "statsd_host");
}

void lc_statsd_close(struct lc_statsd *statsd)
{
    lc_stream_destroy(statsd->stream);
    free(statsd->prefix);
    free(statsd->tags);
    *statsd = (struct lc_statsd){0};
}

void lc_statsd_write(struct lc_statsd *statsd, const struct lc_record *record)
{
    struct lc_slice rest = record->text;
    char packet[1024];

    while (statsd->stream != NULL && rest.len > 0) {
        const char *newline = memchr(rest.at, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.at);
        int n = snprintf(packet, sizeof(packet), "%s%.*s%s", statsd->prefix, (int)len,
                         rest.at, statsd->tags);

        if (len > 0 && n > 0 && (size_t)n < sizeof(packet))
            lc_stream_write(statsd->stream, (struct lc_slice){packet, (size_t)n});
        rest.at += len + (newline != NULL);
        rest.len -= len + (newline != NULL);
    }
}
