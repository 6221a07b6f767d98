/* worker/pace.h — how slow a client may be: a deadline that moves with the bytes it sends or takes.
 *
 * The client has some time (its patience is the server's) and uses it up. Each byte gives some of it
 * back, a second for every `rate` of them, but never more than there was at first: a pause may last
 * as long as that, who keeps to the rate is never late, and nobody saves up time for later. The
 * clock is the caller's, and may stand still while it is not the client who is waited for. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct lc_pace {
    uint64_t patience_us; /* 0: for ever */
    uint64_t rate;        /* bytes a second; 0: any bytes give all of the time back */
    uint64_t due_us;
};

/* All of the time is there. */
void lc_pace_start(struct lc_pace *pace, uint64_t patience_ms, int64_t rate,
                   uint64_t now_us);

/* More has come, or left. Tells whether all of the time is there again. */
bool lc_pace_gain(struct lc_pace *pace, uint64_t bytes, uint64_t now_us);

/* It was not the client's fault. */
static inline void lc_pace_excuse(struct lc_pace *pace, uint64_t us)
{
    pace->due_us += us;
}

static inline bool lc_pace_is_late(const struct lc_pace *pace, uint64_t now_us)
{
    return pace->patience_us != 0 && now_us >= pace->due_us;
}
