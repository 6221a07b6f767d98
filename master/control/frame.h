/* master/control/frame.h — how the control socket cuts its stream into messages: four bytes of
 * length, the highest first, then so many bytes of JSON. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    LC_FRAME_HEAD = 4,
    LC_REQUEST_MAX = 64 * 1024,      /* longest that the server takes   */
    LC_REPLY_MAX = 16 * 1024 * 1024, /* longest that it sends           */
};

/* The length of the whole first frame, head included; 0: its head is not complete. -1: it would
 * hold nothing, or more than `max` bytes. */
ssize_t lc_frame_length(const char *at, size_t len, size_t max);

void lc_frame_put_head(char head[LC_FRAME_HEAD], uint32_t length);
