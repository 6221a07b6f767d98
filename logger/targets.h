/* logger/targets.h — what an LC_MSG_STREAMS says, taken apart. */
#pragma once
#include "base/log.h"

#include <licorne/slice.h>

struct lc_error;

/* Texts in the message; "" is nowhere, or not said. */
struct lc_log_targets {
#define X(name) const char *name;
    LC_LOG_TARGETS(X)
#undef X
};

/* -1 and `err` when the payload is not well formed. */
int lc_log_targets_read(struct lc_log_targets *targets, struct lc_slice payload,
                        struct lc_error *err);
