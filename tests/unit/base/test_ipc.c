#include "base/ipc.h"

#include "base/fd.h"
#include "tests/support/cmocka.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[LC_MSG_MAX];

static int make(void **state)
{
    static int ends[2];
    struct lc_error err;

    if (lc_channel_pair(ends, &err) < 0)
        return -1;
    *state = ends;
    return 0;
}

static int unmake(void **state)
{
    int *ends = *state;

    lc_fd_close(&ends[0]);
    lc_fd_close(&ends[1]);
    return 0;
}

static ssize_t receive(int fd, struct lc_msg_head *head)
{
    return lc_channel_receive(fd, head, buffer, sizeof(buffer));
}

static void a_message_arrives_as_it_was_sent(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;

    assert_int_equal(lc_channel_send(ends[1], LC_MSG_RETIRING, 7, "payload", 7), 0);
    assert_int_equal(receive(ends[0], &head), 7);
    assert_int_equal(head.type, LC_MSG_RETIRING);
    assert_int_equal(head.generation, 7);
    assert_int_equal(head.length, 7);
    assert_memory_equal(buffer, "payload", 7);
}

static void a_message_may_have_no_payload(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;

    assert_int_equal(lc_channel_send(ends[1], LC_MSG_READY, 0, NULL, 0), 0);
    assert_int_equal(receive(ends[0], &head), 0);
    assert_int_equal(head.type, LC_MSG_READY);
}

static void the_masters_end_does_not_block(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;

    assert_int_equal(receive(ends[0], &head), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
}

static void both_ends_close_on_exec(void **state)
{
    const int *ends = *state;

    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
}

static void a_full_channel_says_eagain(void **state)
{
    const int *ends = *state;
    int sent = 0;

    while (lc_channel_send(ends[0], LC_MSG_REOPEN, 0, buffer, 4096) == 0)
        assert_true(++sent < 10000);
    assert_int_equal(errno, EAGAIN);
    assert_true(sent > 0);
}

static void a_closed_end_is_told_apart(void **state)
{
    int *ends = *state;
    struct lc_msg_head head;

    lc_fd_close(&ends[1]);
    assert_int_equal(receive(ends[0], &head), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(lc_channel_send(ends[0], LC_MSG_STOP, 0, NULL, 0), -1);
    assert_int_equal(errno, EPIPE); /* and no SIGPIPE */
}

static void what_was_sent_before_the_close_still_arrives(void **state)
{
    int *ends = *state;
    struct lc_msg_head head;

    lc_channel_send(ends[1], LC_MSG_READY, 1, NULL, 0);
    lc_fd_close(&ends[1]);
    assert_int_equal(receive(ends[0], &head), 0);
    assert_int_equal(receive(ends[0], &head), -1);
    assert_int_equal(errno, EPIPE);
}

static void a_message_that_was_looked_at_stays_until_it_is_discarded(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;

    lc_channel_send(ends[1], LC_MSG_READY, 1, "first", 5);
    lc_channel_send(ends[1], LC_MSG_READY, 2, "second", 6);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lc_channel_peek(ends[0], &head, buffer, sizeof(buffer)), 5);
        assert_int_equal(head.generation, 1);
        assert_memory_equal(buffer, "first", 5);
    }
    lc_channel_discard(ends[0]);
    assert_int_equal(receive(ends[0], &head), 6);
    lc_channel_discard(ends[0]); /* nothing is there: it returns */
    assert_int_equal(send(ends[1], "x", 1, 0), 1);
    assert_int_equal(lc_channel_peek(ends[0], &head, buffer, sizeof(buffer)), -1);
    assert_int_equal(errno, EBADMSG);
    lc_channel_discard(ends[0]);
    assert_int_equal(lc_channel_peek(ends[0], &head, buffer, sizeof(buffer)), -1);
    assert_int_equal(errno, EAGAIN);
}

static void assert_malformed(const int *ends, const void *bytes, size_t len)
{
    struct lc_msg_head head;

    assert_int_equal(send(ends[1], bytes, len, 0), (ssize_t)len);
    assert_int_equal(receive(ends[0], &head), -1);
    assert_int_equal(errno, EBADMSG);
}

static void a_message_that_lies_about_its_length_is_refused(void **state)
{
    struct lc_msg_head longer = {.length = 100, .type = LC_MSG_STREAMS};
    struct lc_msg_head largest = {.length = UINT32_MAX, .type = LC_MSG_STREAMS};
    char shorter[sizeof(longer) + 4] = {0};

    assert_malformed(*state, &longer, sizeof(longer));
    assert_malformed(*state, &largest, sizeof(largest));
    assert_malformed(*state, shorter, sizeof(shorter));
}

static void a_message_without_a_whole_head_is_refused(void **state)
{
    assert_malformed(*state, "abc", 3);
}

static void a_message_that_does_not_fit_is_refused(void **state)
{
    static char large[LC_MSG_MAX + 100];
    struct lc_msg_head head = {.length = sizeof(large) - sizeof(head),
                               .type = LC_MSG_STREAMS};

    memcpy(large, &head, sizeof(head));
    assert_malformed(*state, large, sizeof(large));
    assert_int_equal(
        lc_channel_send(((int *)*state)[1], LC_MSG_STREAMS, 0, large, LC_MSG_MAX), -1);
    assert_int_equal(errno, EMSGSIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

static void a_descriptor_may_come_along(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;
    int pipes[2], passed;
    char byte = 0;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(lc_channel_send_fd(ends[1], LC_MSG_CREDENTIALS, 1, "k", 1, pipes[1]),
                     0);
    lc_fd_close(&pipes[1]);
    assert_int_equal(
        lc_channel_receive_fd(ends[0], &head, buffer, sizeof(buffer), &passed), 1);
    assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(passed, "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    lc_fd_close(&passed);
    lc_fd_close(&pipes[0]);
}

static void without_one_there_is_none(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;
    int passed = 0;

    assert_int_equal(lc_channel_send(ends[1], LC_MSG_READY, 0, NULL, 0), 0);
    assert_int_equal(
        lc_channel_receive_fd(ends[0], &head, buffer, sizeof(buffer), &passed), 0);
    assert_int_equal(passed, -1);
}

/* Who does not ask for descriptors does not collect them either. */
static void one_that_is_not_wanted_is_closed(void **state)
{
    const int *ends = *state;
    struct lc_msg_head head;
    int pipes[2];
    char byte;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(lc_channel_send_fd(ends[1], LC_MSG_CREDENTIALS, 1, "k", 1, pipes[1]),
                     0);
    lc_fd_close(&pipes[1]);
    receive(ends[0], &head);
    assert_int_equal(read(pipes[0], &byte, 1), 0); /* no writer is left */
    lc_fd_close(&pipes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_as_it_was_sent),
        TEST(a_message_may_have_no_payload),
        TEST(the_masters_end_does_not_block),
        TEST(both_ends_close_on_exec),
        TEST(a_full_channel_says_eagain),
        TEST(a_closed_end_is_told_apart),
        TEST(what_was_sent_before_the_close_still_arrives),
        TEST(a_message_that_was_looked_at_stays_until_it_is_discarded),
        TEST(a_message_that_lies_about_its_length_is_refused),
        TEST(a_message_without_a_whole_head_is_refused),
        TEST(a_message_that_does_not_fit_is_refused),
        TEST(a_descriptor_may_come_along),
        TEST(without_one_there_is_none),
        TEST(one_that_is_not_wanted_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
