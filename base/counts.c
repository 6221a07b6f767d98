#include "base/counts.h"

uint64_t lc_latency_floor(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    return (uint64_t)(8 + bucket % 8) << (bucket / 8 - 1);
}

void lc_totals_add(struct lc_totals *totals, const struct lc_counts *counts)
{
    for (unsigned i = 0; i < LC_STATUS_CLASSES; i++)
        totals->status[i] += atomic_load_explicit(&counts->status[i],
                                                  memory_order_relaxed);
    totals->bytes += atomic_load_explicit(&counts->bytes, memory_order_relaxed);
    for (unsigned i = 0; i < LC_LATENCY_BUCKETS; i++)
        totals->latency[i] += atomic_load_explicit(&counts->latency[i],
                                                   memory_order_relaxed);
    totals->latency_us += atomic_load_explicit(&counts->latency_us, memory_order_relaxed);
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
