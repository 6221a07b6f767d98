/* worker/dropped.h — tells the log once for each name that header fields of that name are dropped, and
 * which setting would let them through: silence has cost people days. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>

enum { LC_DROPPED_NAMES = 16, LC_DROPPED_NAME_MAX = 48 };

/* Clients choose the names, so only the first few are told. All zero at first. */
struct lc_dropped {
    unsigned count;
    bool is_full; /* the last has been told, too */
    struct {
        unsigned len;
        char bytes[LC_DROPPED_NAME_MAX];
    } names[LC_DROPPED_NAMES];
};

/* A field of this name, a token, was dropped. `is_trusted`: one of forwarded_allow_ips sent it. */
void lc_dropped_tell(struct lc_dropped *dropped, struct lc_slice name, bool is_trusted);
