#include "logger/backlog.h"

#include "tests/support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct lc_backlog backlog;

static int make(void **state)
{
    lc_backlog_init(&backlog, 1 << 20);
    return 0;
}

static int unmake(void **state)
{
    lc_backlog_deinit(&backlog);
    return 0;
}

static void assert_rest_is(const char *text)
{
    struct lc_slice rest = lc_backlog_rest(&backlog);

    assert_int_equal(rest.len, strlen(text));
    if (rest.len > 0)
        assert_memory_equal(rest.at, text, rest.len);
}

static void records_lie_one_behind_the_other(void **state)
{
    assert_rest_is("");
    assert_true(lc_backlog_add(&backlog, LC_SLICE("one\n")));
    assert_true(lc_backlog_add(&backlog, LC_SLICE("two\n")));
    assert_rest_is("one\ntwo\n");
    assert_int_equal(lc_backlog_count(&backlog), 2);
}

static void a_record_counts_until_its_last_byte_is_written(void **state)
{
    lc_backlog_add(&backlog, LC_SLICE("one\n"));
    lc_backlog_add(&backlog, LC_SLICE("two\n"));
    lc_backlog_written(&backlog, 3);
    assert_int_equal(lc_backlog_count(&backlog), 2);
    assert_rest_is("\ntwo\n");
    lc_backlog_written(&backlog, 2);
    assert_int_equal(lc_backlog_count(&backlog), 1);
    assert_rest_is("wo\n");
    lc_backlog_written(&backlog, 3);
    assert_int_equal(lc_backlog_count(&backlog), 0);
    assert_rest_is("");
}

static void the_oldest_record_can_be_had_alone(void **state)
{
    assert_int_equal(lc_backlog_oldest(&backlog).len, 0);
    lc_backlog_add(&backlog, LC_SLICE("one\n"));
    lc_backlog_add(&backlog, LC_SLICE("three\n"));
    assert_true(lc_slice_equals(lc_backlog_oldest(&backlog), LC_SLICE("one\n")));
    lc_backlog_written(&backlog, 1);
    assert_true(lc_slice_equals(lc_backlog_oldest(&backlog), LC_SLICE("ne\n")));
    lc_backlog_written(&backlog, 3);
    assert_true(lc_slice_equals(lc_backlog_oldest(&backlog), LC_SLICE("three\n")));
}

static void a_record_begun_in_another_file_starts_anew(void **state)
{
    lc_backlog_add(&backlog, LC_SLICE("one\n"));
    lc_backlog_add(&backlog, LC_SLICE("two\n"));
    lc_backlog_written(&backlog, 6);
    lc_backlog_restart_record(&backlog);
    assert_rest_is("two\n");
    lc_backlog_written(&backlog, 4);
    assert_rest_is("");
}

static void what_goes_beyond_the_limit_is_counted(void **state)
{
    char text[1000];
    size_t taken = 0;

    memset(text, 'x', sizeof(text));
    while (lc_backlog_add(&backlog, (struct lc_slice){text, sizeof(text)}))
        taken++;
    assert_in_range(taken, 1000, 1048);
    assert_int_equal(backlog.dropped, 1);
    lc_backlog_written(&backlog, 999); /* not a whole record yet */
    assert_false(lc_backlog_add(&backlog, (struct lc_slice){text, sizeof(text)}));
    lc_backlog_written(&backlog, 1);
    assert_true(lc_backlog_add(&backlog, (struct lc_slice){text, sizeof(text)}));
    assert_int_equal(backlog.dropped, 2);
}

static void many_tiny_records_are_bounded_too(void **state)
{
    size_t taken = 0;

    while (lc_backlog_add(&backlog, LC_SLICE("x")))
        taken++;
    assert_true(taken * (1 + sizeof(uint32_t)) <= 1 << 20);
}

static void an_empty_record_takes_no_place(void **state)
{
    assert_true(lc_backlog_add(&backlog, LC_SLICE("")));
    assert_int_equal(lc_backlog_count(&backlog), 0);
}

static void order_is_kept_however_it_fills_and_drains(void **state)
{
    unsigned next_in = 0, next_out = 0;
    size_t in_record = 0;
    char text[32];

    srand(7);
    for (int turn = 0; turn < 20000; turn++) {
        for (int i = rand() % 40; i > 0; i--) {
            int len = snprintf(text, sizeof(text), "%u,", next_in);
            if (lc_backlog_add(&backlog, (struct lc_slice){text, (size_t)len}))
                next_in++;
        }
        struct lc_slice rest = lc_backlog_rest(&backlog);
        size_t written = rest.len == 0 ? 0 : (size_t)rand() % (rest.len + 1) % 400;
        for (size_t i = 0; i < written; i++) {
            int len = snprintf(text, sizeof(text), "%u,", next_out);
            assert_int_equal(rest.at[i], text[in_record]);
            if (++in_record == (size_t)len) {
                in_record = 0;
                next_out++;
            }
        }
        lc_backlog_written(&backlog, written);
        assert_int_equal(lc_backlog_count(&backlog), next_in - next_out);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_lie_one_behind_the_other),
        TEST(a_record_counts_until_its_last_byte_is_written),
        TEST(the_oldest_record_can_be_had_alone),
        TEST(a_record_begun_in_another_file_starts_anew),
        TEST(what_goes_beyond_the_limit_is_counted),
        TEST(many_tiny_records_are_bounded_too),
        TEST(an_empty_record_takes_no_place),
        TEST(order_is_kept_however_it_fills_and_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
