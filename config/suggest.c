#include "config/suggest.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to add, drop, change or swap with their neighbour to make one of the other (optimal
 * string alignment). Both are at most NAME_MAX_LEN long. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t rows[3][NAME_MAX_LEN + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(row[j], least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_len];
}

void lc_suggestion_init(struct lc_suggestion *suggestion, const char *wrong)
{
    size_t len = strlen(wrong);

    suggestion->wrong = wrong;
    suggestion->best = NULL;
    /* A third of it may be wrong; more is another word. */
    suggestion->distance = len <= NAME_MAX_LEN ? len / 3 + 1 : 0;
}

void lc_suggestion_offer(struct lc_suggestion *suggestion, const char *candidate)
{
    size_t far;

    if (suggestion->distance == 0 || strlen(candidate) > NAME_MAX_LEN)
        return;
    far = distance(suggestion->wrong, candidate);
    if (far < suggestion->distance) {
        suggestion->distance = far;
        suggestion->best = candidate;
    }
}

void lc_suggestion_text(const struct lc_suggestion *suggestion, char *out, size_t size)
{
    if (suggestion->best == NULL)
        *out = '\0';
    else
        snprintf(out, size, " (did you mean '%s'?)", suggestion->best);
}
