#include "master/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_first_try_needs_no_wait(void **state)
{
    struct lc_backoff backoff = {0};

    assert_true(lc_backoff_is_over(&backoff, 0));
}

static void each_failure_doubles_the_pause_up_to_thirty_seconds(void **state)
{
    static const uint32_t pauses[] = {100,  200,   400,   800,   1600, 3200,
                                      6400, 12800, 25600, 30000, 30000};
    struct lc_backoff backoff = {0};
    uint64_t now = 5000;

    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        assert_true(lc_backoff_failed(&backoff, now));
        assert_int_equal(backoff.delay_ms, pauses[i]);
        assert_false(lc_backoff_is_over(&backoff, now + pauses[i] - 1));
        assert_true(lc_backoff_is_over(&backoff, now + pauses[i]));
        now += pauses[i];
    }
}

static void failures_during_a_pause_do_not_lengthen_it(void **state)
{
    struct lc_backoff backoff = {0};

    assert_true(lc_backoff_failed(&backoff, 1000));
    for (int other = 0; other < 7; other++)
        assert_false(lc_backoff_failed(&backoff, 1010));
    assert_true(lc_backoff_is_over(&backoff, 1100));
    assert_true(lc_backoff_failed(&backoff, 1100));
    assert_int_equal(backoff.delay_ms, 200);
}

static void a_reset_makes_the_next_failure_a_first_one(void **state)
{
    struct lc_backoff backoff = {0};

    lc_backoff_failed(&backoff, 1000);
    lc_backoff_failed(&backoff, 2000);
    lc_backoff_reset(&backoff);
    assert_true(lc_backoff_is_over(&backoff, 2000));
    lc_backoff_failed(&backoff, 3000);
    assert_int_equal(backoff.delay_ms, LC_BACKOFF_FIRST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_try_needs_no_wait),
        cmocka_unit_test(each_failure_doubles_the_pause_up_to_thirty_seconds),
        cmocka_unit_test(failures_during_a_pause_do_not_lengthen_it),
        cmocka_unit_test(a_reset_makes_the_next_failure_a_first_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
