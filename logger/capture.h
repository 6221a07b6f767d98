/* logger/capture.h — what applications print: whole lines out of the pipe that is the workers'
 * stdout and stderr, for the error log. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>

/* A longer line is parted. */
enum { LC_CAPTURE_LINE = 16 * 1024 };

struct lc_capture {
    int fd; /* the pipe's end, non-blocking; -1: nothing is captured */
    size_t used;
    size_t handed; /* of these, bytes that the latest call gave out */
    char line[LC_CAPTURE_LINE];
};

/* The next lines, with their newlines, valid until the next call; false when there are none
 * now. */
bool lc_capture_next(struct lc_capture *capture, struct lc_slice *lines);

/* At the end: what has no newline. */
struct lc_slice lc_capture_rest(struct lc_capture *capture);
