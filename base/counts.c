#include "base/counts.h"

uint64_t lc_latency_floor(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    return (uint64_t)(8 + bucket % 8) << (bucket / 8 - 1);
}

static void add(uint64_t *totals, const _Atomic uint64_t *counts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        totals[i] += atomic_load_explicit(&counts[i], memory_order_relaxed);
}

void lc_totals_add(struct lc_totals *totals, const struct lc_counts *counts)
{
    add(totals->status, counts->status, LC_STATUS_CLASSES);
    add(&totals->bytes, &counts->bytes, 1);
    add(totals->latency, counts->latency, LC_LATENCY_BUCKETS);
    add(&totals->latency_us, &counts->latency_us, 1);
    add(totals->waits, counts->waits, LC_LATENCY_BUCKETS);
    add(&totals->waits_us, &counts->waits_us, 1);
}

double lc_latency_percentile(const uint64_t latency[LC_LATENCY_BUCKETS], double share)
{
    uint64_t all = 0, below = 0;

    for (unsigned i = 0; i < LC_LATENCY_BUCKETS; i++)
        all += latency[i];
    if (all == 0)
        return 0;

    double rank = (double)all * share;
    for (unsigned i = 0; i < LC_LATENCY_BUCKETS; i++) {
        if (latency[i] > 0 && (double)(below + latency[i]) >= rank) {
            double floor = (double)lc_latency_floor(i);
            double width = (double)lc_latency_floor(i + 1) - floor;

            return floor + width * (rank - (double)below) / (double)latency[i];
        }
        below += latency[i];
    }
    return 0;
}

uint64_t lc_latency_below(const uint64_t latency[LC_LATENCY_BUCKETS], uint64_t us)
{
    uint64_t below = 0;

    for (unsigned i = 0; i < LC_LATENCY_BUCKETS; i++) {
        uint64_t floor = lc_latency_floor(i), width = lc_latency_floor(i + 1) - floor;

        if (us <= floor)
            break;
        below += us - floor >= width ? latency[i]
                                     : (uint64_t)((double)latency[i] *
                                                  (double)(us - floor) / (double)width);
    }
    return below;
}
