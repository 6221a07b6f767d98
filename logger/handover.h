/* logger/handover.h — what a logger that is killed leaves to its successor.
 *
 * A message stays in the record socket until its lines are written. So nothing is lost when the
 * logger dies, but a line might be written twice: by the dead logger and by the one that finds
 * the message still there. Therefore each logger notes, in memory that outlives it, which message
 * it is about to write and how long the files were before; its successor looks at what has been
 * added since, and writes only what is missing.
 *
 * This holds for files. Of a pipe nobody can tell what was written: there, the lines of one
 * message may come twice. What waits for a full disk or a slow reader is lost with the logger. */
#pragma once
#include "base/ipc.h"
#include "base/scoreboard.h"

#include <stdbool.h>
#include <sys/types.h>

struct lc_stream_set;

struct lc_handover {
    struct lc_log_note *note;
    const struct lc_stream_set *streams;
    bool is_settled; /* the predecessor's message was met, or will not be */

    /* While the predecessor's message is written: its files, for reading; else all -1. */
    int written[LC_STREAM_COUNT];
    off_t at[LC_STREAM_COUNT];
};

void lc_handover_init(struct lc_handover *handover, struct lc_log_note *note,
                      const struct lc_stream_set *streams);

/* This message is about to be written. */
void lc_handover_begin(struct lc_handover *handover, const struct lc_msg_head *head,
                       const void *payload);

/* How many bytes of the message's next record the predecessor has written. */
size_t lc_handover_written(struct lc_handover *handover, enum lc_stream_id id,
                           struct lc_slice text);

/* The message has left the socket. */
void lc_handover_end(struct lc_handover *handover);
