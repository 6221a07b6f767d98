/* logger/receive.h — takes the messages that wait on the record socket to their streams. */
#pragma once
#include "base/ipc.h"
#include "logger/handover.h"

#include <stdbool.h>
#include <stdint.h>

struct lc_stream_set;

struct lc_receiver {
    int fd; /* non-blocking */
    struct lc_stream_set *streams;
    struct lc_handover handover;
    uint64_t malformed;
    uint64_t complained_ms; /* lc_clock_ms; 0: never */
    char buffer[LC_MSG_MAX];
};

enum lc_received {
    LC_RECEIVED_SOME, /* there may be more                       */
    LC_RECEIVED_ALL,  /* nothing is waiting any more             */
    LC_RECEIVED_END,  /* nobody is left who could send something */
};

/* One turn's worth of messages. Each is written before it leaves the socket. */
enum lc_received lc_receive(struct lc_receiver *receiver);
