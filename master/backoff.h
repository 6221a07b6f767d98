/* master/backoff.h — how long to wait before the next try after a child died young.
 *
 * 0.1 s at first, twice as long after each further failure, at most 30 s. Children that die
 * together are one failure: eight workers that miss their database do not make it eight times
 * worse. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { LC_BACKOFF_FIRST_MS = 100, LC_BACKOFF_MAX_MS = 30000 };

struct lc_backoff {
    uint64_t until_ms; /* lc_clock_ms; 0 at the start: no need to wait */
    uint32_t delay_ms; /* after the latest failure */
};

/* Notes a failure. True if the pause of `delay_ms` begins with it; false if one goes on already,
 * which stays as it is. */
bool lc_backoff_failed(struct lc_backoff *backoff, uint64_t now_ms);

/* All is well: the next failure is a first one again. */
void lc_backoff_reset(struct lc_backoff *backoff);

bool lc_backoff_is_over(const struct lc_backoff *backoff, uint64_t now_ms);
