/* logger/record.h — one record of a message: which stream it is for, and its text.
 *
 * Senders run foreign code; nothing that a message says about lengths is believed. */
#pragma once
#include "base/log.h"

#include <licorne/slice.h>

struct lc_record {
    enum lc_stream_id stream;
    bool has_level;
    enum lc_level level;  /* of an error record that begins with a stamp; else LC_INFO */
    int32_t pid;          /* as the sender says */
    struct lc_slice text; /* lies in the message; its newline included */
};

/* Takes the next record off the front of `rest`, the payload of a message. 1; 0 at the end; -1
 * when the bytes are no record, and then nothing behind them is one either. */
int lc_record_next(struct lc_slice *rest, struct lc_record *record);
