/* config/suggest.h — "did you mean …?" for a name that is not known. */
#pragma once
#include <stddef.h>

struct lc_suggestion {
    const char *wrong;
    const char *best; /* NULL while nothing offered comes close */
    size_t distance;
};

void lc_suggestion_init(struct lc_suggestion *suggestion, const char *wrong);

/* `candidate` must stay as long as `best` is used. */
void lc_suggestion_offer(struct lc_suggestion *suggestion, const char *candidate);

/* " (did you mean 'workers'?)" or "". */
void lc_suggestion_text(const struct lc_suggestion *suggestion, char *out, size_t size);
