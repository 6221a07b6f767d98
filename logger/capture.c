#include "logger/capture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_more(struct lc_capture *capture)
{
    ssize_t n;

    do
        n = read(capture->fd, capture->line + capture->used,
                 sizeof(capture->line) - capture->used);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Lines were handed out from the front of the buffer until now: what is behind them moves up. */
bool lc_capture_next(struct lc_capture *capture, struct lc_slice *lines)
{
    memmove(capture->line, capture->line + capture->handed,
            capture->used - capture->handed);
    capture->used -= capture->handed;
    capture->handed = 0;
    for (ssize_t n; (n = read_more(capture)) > 0;) {
        const char *newline;

        capture->used += (size_t)n;
        newline = memrchr(capture->line, '\n', capture->used);
        if (newline != NULL)
            capture->handed = (size_t)(newline - capture->line) + 1;
        else if (capture->used == sizeof(capture->line))
            capture->handed = capture->used;
        if (capture->handed > 0) {
            *lines = (struct lc_slice){capture->line, capture->handed};
            return true;
        }
    }
    return false;
}

struct lc_slice lc_capture_rest(struct lc_capture *capture)
{
    return (struct lc_slice){capture->line + capture->handed,
                             capture->used - capture->handed};
}
