/* The payload of an LC_MSG_STREAMS with files only. */
#pragma once
#include "base/log.h"

#include <string.h>

static inline size_t put_targets(char *into, const char *error, const char *access)
{
    char *at = into;

#define X(name)                                             \
    at = stpcpy(at, strcmp(#name, "error") == 0    ? error  \
                    : strcmp(#name, "access") == 0 ? access \
                                                   : "") +  \
         1;
    LC_LOG_TARGETS(X)
#undef X
    return (size_t)(at - into);
}
