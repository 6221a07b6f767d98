/* logger/backlog.h — records that a stream has taken and not yet written.
 *
 * A bounded queue. The texts lie one behind the other, so that a stream of bytes writes many at
 * once; their lengths are kept, so that records are counted, and a record of which only a part
 * could be written is not lost sight of. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_backlog {
    char *bytes;
    size_t from, end, room; /* `from` is where the oldest record starts */
    uint32_t *lengths;
    size_t first, count, lengths_room;
    size_t written; /* of the oldest record's bytes */
    size_t limit;   /* in bytes; what records cost beside their text is counted as well */
    uint64_t dropped;
};

void lc_backlog_init(struct lc_backlog *backlog, size_t limit);
void lc_backlog_deinit(struct lc_backlog *backlog);

/* Appends a copy; false when there is no room: the record is counted as dropped. */
bool lc_backlog_add(struct lc_backlog *backlog, struct lc_slice text);

/* Everything that is still to be written, in order. */
struct lc_slice lc_backlog_rest(const struct lc_backlog *backlog);

/* What is still to be written of the oldest record; empty when there is none. */
struct lc_slice lc_backlog_oldest(const struct lc_backlog *backlog);

/* The first `len` bytes of the rest have been written. */
void lc_backlog_written(struct lc_backlog *backlog, size_t len);

/* The file has been changed: a record that was written in part is written anew, as a whole. */
void lc_backlog_restart_record(struct lc_backlog *backlog);

static inline size_t lc_backlog_count(const struct lc_backlog *backlog)
{
    return backlog->count;
}
