#include "worker/pace.h"

static const uint64_t second_us = 1000000;

void lc_pace_start(struct lc_pace *pace, uint64_t patience_ms, int64_t rate,
                   uint64_t now_us)
{
    *pace = (struct lc_pace){
        .patience_us = patience_ms * 1000,
        .rate = rate > 0 ? (uint64_t)rate : 0,
        .due_us = now_us + patience_ms * 1000,
    };
}

bool lc_pace_gain(struct lc_pace *pace, uint64_t bytes, uint64_t now_us)
{
    uint64_t most_us = now_us + pace->patience_us;
    uint64_t given_us = pace->rate == 0                  ? pace->patience_us
                        : bytes > UINT64_MAX / second_us ? UINT64_MAX
                                                         : bytes * second_us / pace->rate;

    /* A clock that was read a moment before the start is no reason to overflow. */
    if (pace->due_us < most_us && given_us < most_us - pace->due_us) {
        pace->due_us += given_us;
        return false;
    }
    pace->due_us = most_us;
    return true;
}
