/* How slow a client may be. */
#include "worker/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MS = 1000, S = 1000 * MS };

static struct lc_pace given_pace(uint64_t patience_s, int64_t rate, uint64_t now)
{
    struct lc_pace pace;

    lc_pace_start(&pace, patience_s * 1000, rate, now);
    return pace;
}

static void a_client_that_does_nothing_is_late_when_its_time_is_up(void **state)
{
    struct lc_pace pace = given_pace(60, 240, 5 * S);

    assert_false(lc_pace_is_late(&pace, 65 * S - 1));
    assert_true(lc_pace_is_late(&pace, 65 * S));
}

static void who_keeps_exactly_to_the_rate_is_never_late(void **state)
{
    static const int64_t rates[] = {1, 3, 240, 1000, 1023, 65536};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct lc_pace pace = given_pace(2, rates[i], 0);

        for (uint64_t second = 1; second < 1000; second++) {
            assert_false(lc_pace_is_late(&pace, second * S));
            lc_pace_gain(&pace, (uint64_t)rates[i], second * S);
        }
    }
}

static void the_rate_counts_and_not_the_size_of_the_pieces(void **state)
{
    struct lc_pace pace = given_pace(2, 1000, 0);

    for (uint64_t ms = 1; ms < 10000; ms++) {
        assert_false(lc_pace_is_late(&pace, ms * MS));
        lc_pace_gain(&pace, 1, ms * MS);
    }
}

static void who_is_slower_is_late_however_often_a_byte_comes(void **state)
{
    struct lc_pace pace = given_pace(60, 100, 0);
    uint64_t second = 1;

    for (; !lc_pace_is_late(&pace, second * S); second++)
        lc_pace_gain(&pace, 50, second * S);
    assert_int_equal(second, 119); /* half a second of each was given back */
}

static void no_time_is_saved_for_later(void **state)
{
    struct lc_pace pace = given_pace(60, 240, 0);

    assert_true(lc_pace_gain(&pace, 1000 * 1000 * 1000, 1 * S));
    assert_false(lc_pace_is_late(&pace, 61 * S - 1));
    assert_true(lc_pace_is_late(&pace, 61 * S));
}

static void it_is_told_whether_all_the_time_is_there(void **state)
{
    struct lc_pace pace = given_pace(60, 10, 0);

    assert_false(lc_pace_gain(&pace, 99, 10 * S));
    assert_true(lc_pace_gain(&pace, 1, 10 * S));
    assert_true(lc_pace_gain(&pace, UINT64_MAX, 10 * S));
    assert_true(lc_pace_is_late(&pace, 70 * S));
}

static void without_a_rate_a_byte_gives_all_of_it_back(void **state)
{
    struct lc_pace pace = given_pace(60, 0, 0);

    for (uint64_t second = 59; second < 1000; second += 59) {
        assert_false(lc_pace_is_late(&pace, second * S));
        assert_true(lc_pace_gain(&pace, 1, second * S));
    }
}

static void without_a_limit_nobody_is_late(void **state)
{
    struct lc_pace pace = given_pace(0, 240, 7);

    assert_false(lc_pace_is_late(&pace, UINT64_MAX));
}

static void what_the_client_could_not_help_is_not_its_time(void **state)
{
    struct lc_pace pace = given_pace(60, 240, 0);

    lc_pace_excuse(&pace, 30 * S);
    assert_false(lc_pace_is_late(&pace, 90 * S - 1));
    assert_true(lc_pace_is_late(&pace, 90 * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_does_nothing_is_late_when_its_time_is_up),
        cmocka_unit_test(who_keeps_exactly_to_the_rate_is_never_late),
        cmocka_unit_test(the_rate_counts_and_not_the_size_of_the_pieces),
        cmocka_unit_test(who_is_slower_is_late_however_often_a_byte_comes),
        cmocka_unit_test(no_time_is_saved_for_later),
        cmocka_unit_test(it_is_told_whether_all_the_time_is_there),
        cmocka_unit_test(without_a_rate_a_byte_gives_all_of_it_back),
        cmocka_unit_test(without_a_limit_nobody_is_late),
        cmocka_unit_test(what_the_client_could_not_help_is_not_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
