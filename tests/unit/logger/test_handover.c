#include "logger/handover.h"

#include "base/fd.h"
#include "logger/stream.h"
#include "logger/stream_set.h"
#include "tests/support/cmocka.h"

#include "targets_payload.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char message[] = "GET /1\nGET /2\n"; /* any bytes will do as a payload */
static const struct lc_msg_head head = {sizeof(message) - 1, LC_MSG_RECORDS, 7};

static struct {
    char path[64];
    uv_loop_t loop;
    struct lc_stream_set streams;
    struct lc_log_note note;
    struct lc_handover predecessor, successor;
} at;

/* The file's writer dies and another opens it, as each logger does. */
static void open_streams(void)
{
    char payload[128];
    size_t len = put_targets(payload, at.path, at.path);

    assert_int_equal(
        lc_streams_replace(&at.streams, (struct lc_slice){payload, len}, NULL), 0);
}

static void append_to_file(const char *text)
{
    LC_AUTOCLOSE int fd = open(at.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(lc_fd_write_all(fd, text, strlen(text)), 0);
}

static int make(void **state)
{
    memset(&at, 0, sizeof(at));
    snprintf(at.path, sizeof(at.path), "/tmp/licorne-handover-XXXXXX");
    close(mkstemp(at.path));
    append_to_file("older lines\n");
    uv_loop_init(&at.loop);
    lc_streams_init(&at.streams, &at.loop);
    open_streams();
    lc_handover_init(&at.predecessor, &at.note, &at.streams);
    lc_handover_init(&at.successor, &at.note, &at.streams);
    return 0;
}

static int unmake(void **state)
{
    lc_handover_end(&at.successor);
    lc_streams_deinit(&at.streams);
    uv_run(&at.loop, UV_RUN_DEFAULT);
    unlink(at.path);
    return uv_loop_close(&at.loop);
}

static void the_predecessor_dies_after_writing(const char *text)
{
    lc_handover_begin(&at.predecessor, &head, message);
    append_to_file(text);
    open_streams();
}

static size_t written(enum lc_stream_id id, const char *text)
{
    return lc_handover_written(&at.successor, id, lc_slice(text));
}

static void what_was_written_is_not_written_again(void **state)
{
    the_predecessor_dies_after_writing("GET /1\nGET /2\n");
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 7);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /2\n"), 7);
}

static void a_line_that_was_torn_is_completed(void **state)
{
    the_predecessor_dies_after_writing("GET /1\nGET");
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 7);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /2\n"), 3);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /3\n"), 0);
}

static void a_message_that_was_not_begun_is_written_whole(void **state)
{
    the_predecessor_dies_after_writing("");
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 0);
}

static void kinds_that_share_a_file_are_compared_in_their_order(void **state)
{
    the_predecessor_dies_after_writing("GET /1\nerror\n");
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 7);
    assert_int_equal(written(LC_STREAM_ERROR, "error\n"), 6);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /2\n"), 0);
}

static void what_others_appended_is_not_taken_for_ours(void **state)
{
    the_predecessor_dies_after_writing("somebody else's line\n");
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 0);
}

static void another_message_is_written_whole(void **state)
{
    struct lc_msg_head next = head;

    next.generation++; /* the same lines, of the turn after */
    the_predecessor_dies_after_writing("GET /1\nGET /2\n");
    lc_handover_begin(&at.successor, &next, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 0);
}

static void only_the_first_message_can_be_left_over(void **state)
{
    lc_handover_begin(&at.successor, &head, message);
    lc_handover_end(&at.successor);
    lc_handover_begin(&at.successor, &head, message);
    append_to_file("GET /1\n");
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 0);
}

static void a_message_that_was_done_with_is_forgotten(void **state)
{
    lc_handover_begin(&at.predecessor, &head, message);
    append_to_file("GET /1\n");
    lc_handover_end(&at.predecessor);
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 0);
}

static void a_file_that_was_rotated_meanwhile_is_not_compared(void **state)
{
    char old[80];

    lc_handover_begin(&at.predecessor, &head, message);
    snprintf(old, sizeof(old), "%s.1", at.path);
    assert_int_equal(rename(at.path, old), 0);
    append_to_file("older lines\nGET /1\n");
    open_streams();
    lc_handover_begin(&at.successor, &head, message);
    assert_int_equal(written(LC_STREAM_ACCESS, "GET /1\n"), 0);
    unlink(old);
}

static void a_successor_that_is_killed_as_well_has_a_successor(void **state)
{
    struct lc_handover third;

    the_predecessor_dies_after_writing("GET /1\nGET");
    lc_handover_begin(&at.successor, &head, message);
    append_to_file(" /2");
    lc_handover_init(&third, &at.note, &at.streams);
    lc_handover_begin(&third, &head, message);
    assert_int_equal(
        lc_handover_written(&third, LC_STREAM_ACCESS, LC_SLICE("GET /1\nGET /2\n")), 13);
    lc_handover_end(&third);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_not_written_again),
        TEST(a_line_that_was_torn_is_completed),
        TEST(a_message_that_was_not_begun_is_written_whole),
        TEST(kinds_that_share_a_file_are_compared_in_their_order),
        TEST(what_others_appended_is_not_taken_for_ours),
        TEST(another_message_is_written_whole),
        TEST(only_the_first_message_can_be_left_over),
        TEST(a_message_that_was_done_with_is_forgotten),
        TEST(a_file_that_was_rotated_meanwhile_is_not_compared),
        TEST(a_successor_that_is_killed_as_well_has_a_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
