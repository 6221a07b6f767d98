#include "logger/record.h"

#include "tests/support/cmocka.h"

#include <stdlib.h>
#include <string.h>

/* A message's payload, in memory of exactly its size, so that a sanitizer sees one byte beyond. */
static struct {
    char *at;
    size_t len;
} message;

static void given_record(unsigned stream, size_t claimed, const char *text)
{
    struct lc_record_head head = {.stream = (uint16_t)stream,
                                  .length = (uint32_t)claimed};
    size_t len = strlen(text);

    message.at = realloc(message.at, message.len + sizeof(head) + len);
    memcpy(message.at + message.len, &head, sizeof(head));
    memcpy(message.at + message.len + sizeof(head), text, len);
    message.len += sizeof(head) + len;
}

static struct lc_slice payload(void)
{
    return (struct lc_slice){message.at, message.len};
}

static int forget(void **state)
{
    free(message.at);
    memset(&message, 0, sizeof(message));
    return 0;
}

static void assert_next_is(struct lc_slice *rest, enum lc_stream_id stream,
                           const char *text)
{
    struct lc_record record;

    assert_int_equal(lc_record_next(rest, &record), 1);
    assert_int_equal(record.stream, stream);
    assert_int_equal(record.text.len, strlen(text));
    assert_memory_equal(record.text.at, text, strlen(text));
}

static void records_come_in_their_order(void **state)
{
    struct lc_record record;

    given_record(LC_STREAM_ACCESS, 4, "GET\n");
    given_record(LC_STREAM_ERROR, 6, "error\n");
    given_record(LC_STREAM_ACCESS, 0, "");
    struct lc_slice rest = payload();
    assert_next_is(&rest, LC_STREAM_ACCESS, "GET\n");
    assert_next_is(&rest, LC_STREAM_ERROR, "error\n");
    assert_next_is(&rest, LC_STREAM_ACCESS, "");
    assert_int_equal(lc_record_next(&rest, &record), 0);
    assert_int_equal(lc_record_next(&rest, &record), 0);
}

static void assert_refused(struct lc_slice rest)
{
    struct lc_record record;

    assert_int_equal(lc_record_next(&rest, &record), -1);
}

static void a_length_beyond_the_message_is_refused(void **state)
{
    given_record(LC_STREAM_ERROR, 6, "error");
    assert_refused(payload());
}

static void the_largest_length_is_refused(void **state)
{
    given_record(LC_STREAM_ERROR, UINT32_MAX, "error");
    assert_refused(payload());
}

static void half_a_head_is_refused(void **state)
{
    given_record(LC_STREAM_ERROR, 0, "");
    for (size_t len = 1; len < sizeof(struct lc_record_head); len++)
        assert_refused((struct lc_slice){message.at, len});
}

static void an_unknown_stream_is_refused(void **state)
{
    given_record(LC_STREAM_COUNT, 1, "x");
    given_record(UINT16_MAX, 1, "x");
    assert_refused(payload());
    assert_refused((struct lc_slice){message.at + 9, 9});
}

static void what_stands_before_the_fault_is_kept(void **state)
{
    given_record(LC_STREAM_ERROR, 5, "good\n");
    given_record(LC_STREAM_ERROR, 500, "bad\n");
    struct lc_slice rest = payload();
    assert_next_is(&rest, LC_STREAM_ERROR, "good\n");
    assert_refused(rest);
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_in_their_order),   TEST(a_length_beyond_the_message_is_refused),
        TEST(the_largest_length_is_refused), TEST(half_a_head_is_refused),
        TEST(an_unknown_stream_is_refused),  TEST(what_stands_before_the_fault_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
