#include "worker/word.h"

#include "base/mem.h"
#include "tests/support/cmocka.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ORIGIN, TAKER };

static int ends[2];

static int open_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

static int close_pair(void **state)
{
    (void)state;
    close(ends[ORIGIN]);
    if (ends[TAKER] >= 0)
        close(ends[TAKER]);
    return 0;
}

static void given_written(const char *text)
{
    assert_int_equal(write(ends[TAKER], text, strlen(text)), strlen(text));
}

static void expect_heard(const char *bytes, size_t room, enum lc_word word)
{
    char into[64];
    struct lc_heard heard;

    assert_int_equal(lc_word_receive(ends[ORIGIN], into, room, &heard), strlen(bytes));
    assert_memory_equal(into, bytes, strlen(bytes));
    assert_int_equal(heard.word, word);
    assert_true(heard.end < 0);
}

static void a_word_is_heard_behind_the_bytes_before_it(void **state)
{
    (void)state;
    given_written("answer");
    given_written(" and rest");
    assert_true(lc_word_send(ends[TAKER], LC_WORD_GOODBYE));
    expect_heard("answer and rest", 64, LC_WORD_GOODBYE);
}

static void a_word_waits_until_the_bytes_have_been_read(void **state)
{
    (void)state;
    given_written("answer");
    assert_true(lc_word_send(ends[TAKER], LC_WORD_GOODBYE));
    expect_heard("ans", 3, LC_WORD_NONE);
    expect_heard("wer", 3, LC_WORD_NONE);
    expect_heard("", 3, LC_WORD_GOODBYE);
}

static void bytes_that_look_like_a_word_are_bytes(void **state)
{
    (void)state;
    given_written("\x01\x02");
    expect_heard("\x01\x02", 64, LC_WORD_NONE);
}

static void who_hands_its_end_back_hands_over_what_it_has_not_read(void **state)
{
    struct lc_heard heard;
    char into[64];

    (void)state;
    assert_int_equal(write(ends[ORIGIN], "next request", 12), 12);
    assert_true(lc_word_send(ends[TAKER], LC_WORD_BACK));
    close(ends[TAKER]);
    ends[TAKER] = -1;
    assert_int_equal(write(ends[ORIGIN], "!", 1), 1); /* it is still open: on its way */

    assert_int_equal(lc_word_receive(ends[ORIGIN], into, sizeof(into), &heard), 0);
    assert_int_equal(heard.word, LC_WORD_BACK);
    assert_int_equal(read(heard.end, into, sizeof(into)), 13);
    assert_memory_equal(into, "next request!", 13);
    close(heard.end);
}

static void a_full_socket_has_room_for_a_word(void **state)
{
    static char block[4096];
    struct lc_heard heard;
    ssize_t n;
    size_t written = 0, received = 0;

    (void)state;
    while ((n = write(ends[TAKER], block, sizeof(block))) > 0)
        written += (size_t)n;
    assert_true(lc_word_send(ends[TAKER], LC_WORD_GOODBYE));
    do {
        n = lc_word_receive(ends[ORIGIN], block, sizeof(block), &heard);
        assert_true(n >= 0);
        received += (size_t)n;
    } while (heard.word == LC_WORD_NONE);
    assert_int_equal(received, written);
}

static void nothing_and_the_end_are_told_apart(void **state)
{
    struct lc_heard heard;
    char into[8];

    (void)state;
    assert_int_equal(lc_word_receive(ends[ORIGIN], into, sizeof(into), &heard), -1);
    assert_int_equal(errno, EAGAIN);
    close(ends[TAKER]);
    ends[TAKER] = -1;
    assert_int_equal(lc_word_receive(ends[ORIGIN], into, sizeof(into), &heard), 0);
    assert_int_equal(heard.word, LC_WORD_NONE);
}

#define EXAMPLE(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXAMPLE(a_word_is_heard_behind_the_bytes_before_it),
        EXAMPLE(a_word_waits_until_the_bytes_have_been_read),
        EXAMPLE(bytes_that_look_like_a_word_are_bytes),
        EXAMPLE(who_hands_its_end_back_hands_over_what_it_has_not_read),
        EXAMPLE(a_full_socket_has_room_for_a_word),
        EXAMPLE(nothing_and_the_end_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
