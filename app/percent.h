/* app/percent.h — percent-encoding (RFC 3986, 2.1). */
#pragma once
#include <licorne/slice.h>

struct lc_arena;

/* The byte that the "%XX" at `at` stands for; -1 when no two hex digits follow before `end`. */
int lc_percent_byte(const char *at, const char *end);

/* `text` with every "%XX" decoded, in the arena; `text` itself when it holds no "%". A "%"
 * without two hex digits stays as it is. */
struct lc_slice lc_percent_decode(struct lc_arena *arena, struct lc_slice text);
