#include "base/scoreboard.h"

#include "tests/support/cmocka.h"

#include <licorne/error.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int make(void **state)
{
    *state = lc_scoreboard_create(4, NULL);
    return *state == NULL ? -1 : 0;
}

static int unmake(void **state)
{
    lc_scoreboard_destroy(*state);
    return 0;
}

static void a_new_board_is_free(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_hand hand;

    assert_int_equal(board->count, 4);
    for (uint32_t i = 0; i < board->count; i++) {
        assert_int_equal(atomic_load(&board->slots[i].state), LC_SLOT_FREE);
        assert_false(lc_slot_in_hand(&board->slots[i], 0, &hand));
    }
}

static void each_slot_has_cache_lines_of_its_own(void **state)
{
    struct lc_scoreboard *board = *state;

    assert_int_equal((uintptr_t)&board->slots[0] % 64, 0);
    assert_int_equal(sizeof(struct lc_slot) % 64, 0);
}

static void take(struct lc_slot *slot, const char *method, const char *target)
{
    lc_slot_take_in_hand(slot, 0, 1234, lc_slice(method), lc_slice(target), "192.0.2.7");
}

static void the_request_in_hand_can_be_read(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_hand hand;

    take(&board->slots[1], "GET", "/a?b=c");
    assert_true(lc_slot_in_hand(&board->slots[1], 0, &hand));
    assert_string_equal(hand.method, "GET");
    assert_string_equal(hand.target, "/a?b=c");
    assert_string_equal(hand.client, "192.0.2.7");
    assert_int_equal(hand.started_ms, 1234);
    assert_false(lc_slot_in_hand(&board->slots[0], 0, &hand));
}

static void nothing_is_in_hand_after_it_was_put_down(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_hand hand;

    take(&board->slots[0], "GET", "/");
    lc_slot_put_down(&board->slots[0], 0);
    assert_false(lc_slot_in_hand(&board->slots[0], 0, &hand));
}

static void each_thread_has_a_hand_of_its_own(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_slot *slot = &board->slots[1];
    struct lc_hand hand;

    assert_int_equal(lc_slot_hands(slot), 1);
    atomic_store(&slot->threads, LC_HANDS_MAX);
    assert_int_equal(lc_slot_hands(slot), LC_HANDS_MAX);
    take(slot, "GET", "/first");
    lc_slot_take_in_hand(slot, LC_HANDS_MAX - 1, 5678, LC_SLICE("PUT"), LC_SLICE("/last"),
                         "192.0.2.8");
    lc_slot_put_down(slot, 0);
    assert_false(lc_slot_in_hand(slot, 0, &hand));
    assert_true(lc_slot_in_hand(slot, LC_HANDS_MAX - 1, &hand));
    assert_string_equal(hand.target, "/last");
    assert_false(lc_slot_in_hand(&board->slots[2], 0, &hand));
}

static void long_texts_are_cut(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_hand hand;
    char method[100], target[1000];

    memset(method, 'M', sizeof(method));
    method[sizeof(method) - 1] = '\0';
    memset(target, 't', sizeof(target));
    target[sizeof(target) - 1] = '\0';
    take(&board->slots[3], method, target);
    assert_true(lc_slot_in_hand(&board->slots[3], 0, &hand));
    assert_int_equal(strlen(hand.method), LC_HAND_METHOD - 1);
    assert_int_equal(strlen(hand.target), LC_HAND_TARGET - 1);
    assert_string_equal(hand.client, "192.0.2.7");
}

static void a_worker_that_died_while_writing_leaves_readable_texts(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_hand hand;

    take(&board->slots[0], "GET", "/");
    atomic_fetch_add(&board->slots[0].hands[0].version, 1); /* odd: in the middle of it */
    memset(board->slots[0].hands[0].target, 'x', LC_HAND_TARGET);
    assert_true(lc_slot_in_hand(&board->slots[0], 0, &hand));
    assert_int_equal(strlen(hand.target), LC_HAND_TARGET - 1);
}

static void a_reader_never_sees_two_requests_mixed(void **state)
{
    struct lc_scoreboard *board = *state;
    struct lc_slot *slot = &board->slots[0];
    struct lc_hand hand;

    take(slot, "AAAA", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    pid_t writer = fork();
    if (writer == 0) {
        for (int i = 0; i < 200000; i++) {
            take(slot, "BBBB", "/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
            take(slot, "AAAA", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        }
        atomic_store(&slot->requests, 1);
        _exit(0);
    }
    assert_true(writer > 0);
    while (atomic_load(&slot->requests) == 0) {
        assert_true(lc_slot_in_hand(slot, 0, &hand));
        if (hand.version % 2 == 0) { /* else the reader gave up: see its comment */
            char letter = hand.method[0] == 'A' ? 'a' : 'b';
            assert_int_equal(hand.target[1], letter);
            assert_int_equal(hand.target[45], letter);
        }
    }
    assert_int_equal(waitpid(writer, NULL, 0), writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_board_is_free),
        TEST(each_slot_has_cache_lines_of_its_own),
        TEST(the_request_in_hand_can_be_read),
        TEST(nothing_is_in_hand_after_it_was_put_down),
        TEST(each_thread_has_a_hand_of_its_own),
        TEST(long_texts_are_cut),
        TEST(a_worker_that_died_while_writing_leaves_readable_texts),
        TEST(a_reader_never_sees_two_requests_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
