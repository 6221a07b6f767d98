#include "base/counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_time_falls_into_the_bucket_that_begins_before_it(void **state)
{
    for (uint64_t us = 0; us < 100000; us++) {
        unsigned bucket = lc_latency_bucket(us);

        assert_true(bucket < LC_LATENCY_BUCKETS);
        assert_in_range(us, lc_latency_floor(bucket), lc_latency_floor(bucket + 1) - 1);
    }
}

static void a_bucket_is_no_wider_than_an_eighth_of_its_times(void **state)
{
    for (unsigned i = 8; i < LC_LATENCY_BUCKETS; i++)
        assert_true((lc_latency_floor(i + 1) - lc_latency_floor(i)) * 8 <=
                    lc_latency_floor(i));
}

static void the_longest_times_share_the_last_bucket(void **state)
{
    assert_int_equal(lc_latency_bucket(UINT32_MAX), LC_LATENCY_BUCKETS - 1);
    assert_int_equal(lc_latency_bucket((uint64_t)UINT32_MAX + 1), LC_LATENCY_BUCKETS - 1);
    assert_int_equal(lc_latency_bucket(UINT64_MAX), LC_LATENCY_BUCKETS - 1);
}

static void an_answer_is_counted_by_class_and_time(void **state)
{
    struct lc_counts counts;
    struct lc_totals totals = {0};

    memset((void *)&counts, 0, sizeof(counts));
    lc_count_answer(&counts, 200, 100, 1000);
    lc_count_answer(&counts, 204, 0, 1000);
    lc_count_answer(&counts, 503, 20, 5);
    lc_count_answer(&counts, 0, 0, 7);   /* the client left before */
    lc_count_answer(&counts, 999, 0, 7); /* no class of HTTP's     */
    lc_totals_add(&totals, &counts);
    lc_totals_add(&totals, &counts); /* of another worker */

    assert_int_equal(totals.status[2], 4);
    assert_int_equal(totals.status[5], 2);
    assert_int_equal(totals.status[0], 4);
    assert_int_equal(totals.bytes, 240);
    assert_int_equal(totals.latency[lc_latency_bucket(1000)], 4);
    assert_int_equal(totals.latency[5], 2);
}

static void percentiles_are_right_to_within_an_eighth(void **state)
{
    uint64_t latency[LC_LATENCY_BUCKETS] = {0};

    assert_true(lc_latency_percentile(latency, 0.5) == 0);
    for (uint64_t us = 1; us <= 10000; us++)
        latency[lc_latency_bucket(us)]++;
    assert_in_range(lc_latency_percentile(latency, 0.5), 4900, 5100);
    assert_in_range(lc_latency_percentile(latency, 0.9), 8900, 9100);
    assert_in_range(lc_latency_percentile(latency, 0.99), 9700, 11000);
    assert_in_range(lc_latency_percentile(latency, 1), 10000, 11250);
}

static void what_took_less_than_a_limit_is_counted_in_whole_numbers(void **state)
{
    uint64_t latency[LC_LATENCY_BUCKETS] = {0};

    assert_int_equal(lc_latency_below(latency, 1000), 0);
    for (uint64_t us = 0; us < 10000; us++)
        latency[lc_latency_bucket(us)]++;
    assert_int_equal(lc_latency_below(latency, 0), 0);
    assert_int_equal(lc_latency_below(latency, 1), 1);
    assert_int_equal(lc_latency_below(latency, 1024), 1024); /* where a bucket begins */
    assert_in_range(lc_latency_below(latency, 1000), 998, 1002);
    assert_in_range(lc_latency_below(latency, 5000), 4990, 5010);
    assert_int_equal(lc_latency_below(latency, UINT64_MAX), 10000);
}

static void what_is_below_a_limit_never_gets_less(void **state)
{
    uint64_t latency[LC_LATENCY_BUCKETS] = {0}, before = 0;

    latency[lc_latency_bucket(1000)] = 3;
    for (uint64_t us = 900; us < 1100; us++) {
        uint64_t below = lc_latency_below(latency, us);

        assert_true(below >= before && below <= 3);
        before = below;
    }
    before = 0;
    for (uint64_t count = 1; count < 50; count++) { /* more of them: the same limit */
        latency[lc_latency_bucket(1000)] = count;
        assert_true(lc_latency_below(latency, 1000) >= before);
        before = lc_latency_below(latency, 1000);
    }
}

static void the_sum_of_all_times_is_exact(void **state)
{
    struct lc_counts counts;
    struct lc_totals totals = {0};

    memset((void *)&counts, 0, sizeof(counts));
    lc_count_answer(&counts, 200, 0, 1001);
    lc_count_answer(&counts, 200, 0, 70000000);
    lc_totals_add(&totals, &counts);
    assert_int_equal(totals.latency_us, 70001001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_time_falls_into_the_bucket_that_begins_before_it),
        cmocka_unit_test(a_bucket_is_no_wider_than_an_eighth_of_its_times),
        cmocka_unit_test(the_longest_times_share_the_last_bucket),
        cmocka_unit_test(an_answer_is_counted_by_class_and_time),
        cmocka_unit_test(percentiles_are_right_to_within_an_eighth),
        cmocka_unit_test(what_took_less_than_a_limit_is_counted_in_whole_numbers),
        cmocka_unit_test(what_is_below_a_limit_never_gets_less),
        cmocka_unit_test(the_sum_of_all_times_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
