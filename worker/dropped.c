#include "worker/dropped.h"

#include <licorne/log.h>

#include <string.h>

static bool was_told(const struct lc_dropped *dropped, struct lc_slice name)
{
    for (unsigned i = 0; i < dropped->count; i++) {
        struct lc_slice told = {dropped->names[i].bytes, dropped->names[i].len};

        if (lc_slice_equals_nocase(told, name))
            return true;
    }
    return false;
}

/* A proxy's field was meant to arrive; a stranger's may be an attempt. */
static void tell(struct lc_slice name, bool is_trusted)
{
    if (is_trusted)
        lc_log(LC_WARN,
               "Header field %.*s of a trusted proxy is dropped, because its name has an "
               "underscore; add it to forwarder_headers to let it through",
               LC_ARG(name));
    else
        lc_log(LC_INFO,
               "Header field %.*s is dropped, because its name has an underscore; "
               "forwarded_allow_ips and forwarder_headers would let it through from a "
               "trusted proxy, header_map = dangerous from everybody",
               LC_ARG(name));
}

void lc_dropped_tell(struct lc_dropped *dropped, struct lc_slice name, bool is_trusted)
{
    if (name.len > LC_DROPPED_NAME_MAX)
        name.len = LC_DROPPED_NAME_MAX;
    if (dropped->is_full || was_told(dropped, name))
        return;
    if (dropped->count == LC_DROPPED_NAMES) {
        dropped->is_full = true;
        lc_log(LC_INFO, "Header fields of yet other names are dropped; no more of them "
                        "are reported");
        return;
    }
    memcpy(dropped->names[dropped->count].bytes, name.at, name.len);
    dropped->names[dropped->count++].len = (unsigned)name.len;
    tell(name, is_trusted);
}
