/* base/counts.h — what a worker counts on its place of the scoreboard, for those who watch.
 *
 * The worker alone writes, a few plain additions for each answer; readers add up what they find.
 * Times fall into buckets whose width is an eighth of a power of two: percentiles are right to
 * within an eighth, from a microsecond to more than an hour. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

enum {
    LC_STATUS_CLASSES = 6, /* 1 to 5: the status's first digit; 0: the client got none */
    LC_LATENCY_BUCKETS = 240,
};

struct lc_counts {
    _Atomic uint64_t status[LC_STATUS_CLASSES];
    _Atomic uint64_t bytes; /* of bodies that were sent */
    _Atomic uint64_t latency[LC_LATENCY_BUCKETS];
    _Atomic uint64_t latency_us;                /* of all together */
    _Atomic uint64_t waits[LC_LATENCY_BUCKETS]; /* for the application, of the latency */
    _Atomic uint64_t waits_us;
};

/* The same at one moment, or of several workers together. */
struct lc_totals {
    uint64_t status[LC_STATUS_CLASSES];
    uint64_t bytes;
    uint64_t latency[LC_LATENCY_BUCKETS];
    uint64_t latency_us;
    uint64_t waits[LC_LATENCY_BUCKETS];
    uint64_t waits_us;
};

/* Which bucket a time falls into, and where a bucket begins. */
static inline unsigned lc_latency_bucket(uint64_t us)
{
    if (us < 8)
        return (unsigned)us;
    if (us > UINT32_MAX)
        return LC_LATENCY_BUCKETS - 1;
    unsigned power = 63 - (unsigned)__builtin_clzll(us);

    return (power - 2) * 8 + (unsigned)(us >> (power - 3) & 7);
}

uint64_t lc_latency_floor(unsigned bucket);

/* There is one writer: no addition needs the bus. */
static inline void lc_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

/* Writer: one answer has left. */
static inline void lc_count_answer(struct lc_counts *counts, int status, uint64_t bytes,
                                   uint64_t us)
{
    unsigned digit = status < 0 ? 0 : (unsigned)status / 100;

    lc_count(&counts->status[digit < LC_STATUS_CLASSES ? digit : 0], 1);
    lc_count(&counts->bytes, bytes);
    lc_count(&counts->latency[lc_latency_bucket(us)], 1);
    lc_count(&counts->latency_us, us);
}

/* Writer: the application was called, after the request had waited for so long. */
static inline void lc_count_wait(struct lc_counts *counts, uint64_t us)
{
    lc_count(&counts->waits[lc_latency_bucket(us)], 1);
    lc_count(&counts->waits_us, us);
}

/* Reader. */
void lc_totals_add(struct lc_totals *totals, const struct lc_counts *counts);

/* How long, in microseconds, the fastest `share` (0 to 1) of all took at most; 1: the slowest.
 * 0 when there were none. */
double lc_latency_percentile(const uint64_t latency[LC_LATENCY_BUCKETS], double share);

/* How many took less than `us` microseconds, in whole numbers that never go back. Within the one
 * bucket that the limit cuts they are taken to be spread evenly. */
uint64_t lc_latency_below(const uint64_t latency[LC_LATENCY_BUCKETS], uint64_t us);
