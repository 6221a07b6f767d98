#include "master/backoff.h"

bool lc_backoff_failed(struct lc_backoff *backoff, uint64_t now_ms)
{
    if (!lc_backoff_is_over(backoff, now_ms))
        return false;
    if (backoff->delay_ms == 0)
        backoff->delay_ms = LC_BACKOFF_FIRST_MS;
    else if (backoff->delay_ms < LC_BACKOFF_MAX_MS / 2)
        backoff->delay_ms *= 2;
    else
        backoff->delay_ms = LC_BACKOFF_MAX_MS;
    backoff->until_ms = now_ms + backoff->delay_ms;
    return true;
}

void lc_backoff_reset(struct lc_backoff *backoff)
{
    *backoff = (struct lc_backoff){0};
}

bool lc_backoff_is_over(const struct lc_backoff *backoff, uint64_t now_ms)
{
    return now_ms >= backoff->until_ms;
}
