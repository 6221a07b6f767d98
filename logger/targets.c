#include "logger/targets.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <string.h>

int lc_log_targets_read(struct lc_log_targets *targets, struct lc_slice payload,
                        struct lc_error *err)
{
    const char **fields[] = {
#define X(name) &targets->name,
        LC_LOG_TARGETS(X)
#undef X
    };

    for (size_t i = 0; i < LC_COUNT(fields); i++) {
        const char *end = payload.len == 0 ? NULL : memchr(payload.at, '\0', payload.len);

        if (end == NULL)
            return lc_error_set(err, LC_E_PROTOCOL, "the list of log streams is cut");
        *fields[i] = payload.at;
        payload.len -= (size_t)(end - payload.at) + 1;
        payload.at = end + 1;
    }
    if (payload.len != 0)
        return lc_error_set(err, LC_E_PROTOCOL, "the list of log streams is too long");
    return 0;
}
