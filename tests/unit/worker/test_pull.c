/* A body that the application pulls out of the socket: what it reads, and when it is told why
 * not. Nothing may depend on where the client's bytes were cut. */
#include "worker/pull.h"

#include "given_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#define CHUNKED     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
#define MEASURED(n) "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " #n "\r\n"

static bool given_stream(struct stream *stream, const char *text, size_t first,
                         size_t step)
{
    struct lc_config settings = ordinary_settings();

    settings.limit_request_body = 100;
    return stream_open(stream, lc_slice(text), first, step, settings);
}

/* However it comes and is read: these bytes, then this error, and what follows the request. */
static void assert_reads(const char *text, const char *expected, int error,
                         const char *behind)
{
    for (size_t step = 1; step < 60; step += 1 + step / 4)
        for (size_t first = 0; first < 60; first += 7)
            for (size_t block = 1; block < 12; block += 5) {
                struct stream stream;
                char body[256];
                int why;

                assert_true(given_stream(&stream, text, first, step));
                size_t len = stream_read(&stream, body, sizeof(body), block, &why);
                assert_int_equal(len, strlen(expected));
                assert_memory_equal(body, expected, len);
                assert_int_equal(why, error);
                while (error == 0 && stream.unsent.len != 0)
                    stream_send(&stream);

                struct lc_slice rest = lc_pull_end(stream.exchange);
                len = rest.len;
                if (len != 0)
                    memcpy(body, rest.at, len);
                ssize_t more = recv(stream.conn.wire.fd, body + len, sizeof(body) - len,
                                    0);
                if (error == 0)
                    assert_int_equal(len + (more > 0 ? (size_t)more : 0), strlen(behind));
                if (error == 0)
                    assert_memory_equal(body, behind, strlen(behind));
                stream_close(&stream);
            }
}

static void a_body_reads_alike_however_it_was_cut(void **state)
{
    assert_reads(MEASURED(5) "\r\nhello", "hello", 0, "");
    assert_reads(MEASURED(5) "\r\nhelloGET / HTTP", "hello", 0, "GET / HTTP");
    assert_reads(CHUNKED "\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\nGET",
                 "hello, world", 0, "GET");
    assert_reads(CHUNKED "\r\n0\r\nDigest: x\r\n\r\nGET", "", 0, "GET");
}

static void what_came_before_a_fault_is_read_first(void **state)
{
    assert_reads(CHUNKED "\r\n5\r\nhelloXX", "hello", EBADMSG, "");
    assert_reads(CHUNKED "\r\n5\r\nhello\r\n0\r\nHost: h\r\n\r\n", "hello", EPROTO, "");
    assert_reads(CHUNKED "\r\n5\r\nhello\r\nff\r\n", "hello", EFBIG, "");
}

static void a_client_that_stops_is_the_end_of_a_measured_body_only(void **state)
{
    assert_reads(MEASURED(50) "\r\nhello", "hello", 0, "");
    assert_reads(CHUNKED "\r\n9\r\nhello", "hello", ECONNRESET, "");
    assert_reads(CHUNKED "\r\n5\r\nhello\r\n", "hello", ECONNRESET, "");
}

static void the_length_is_known_when_somebody_has_said_it(void **state)
{
    struct stream stream;
    char body[16];
    int error;

    assert_true(given_stream(&stream, MEASURED(5) "\r\nhello", 0, 9));
    assert_int_equal(lc_request_body_size(&stream.exchange->request), 5);
    stream_close(&stream);

    assert_true(given_stream(&stream, CHUNKED "\r\n5\r\nhello\r\n0\r\n\r\n", 0, 9));
    assert_true(lc_request_body_size(&stream.exchange->request) == LC_BODY_UNKNOWN);
    stream_read(&stream, body, sizeof(body), 16, &error);
    assert_int_equal(lc_request_body_size(&stream.exchange->request), 5);
    stream_close(&stream);
}

static void a_late_client_gets_408_if_nothing_else(void **state)
{
    struct stream stream;
    char body[16];
    int error;

    assert_true(given_stream(&stream, MEASURED(50) "\r\nhello", 5, 9));
    stream.stays = true;
    assert_int_equal(stream_read(&stream, body, sizeof(body), 16, &error), 5);
    assert_int_equal(error, ETIMEDOUT);
    assert_int_equal(lc_request_body_error(&stream.exchange->request), ETIMEDOUT);
    assert_int_equal(stream.exchange->request.body.refusal.status, 408);
    assert_int_equal(lc_request_body_read(&stream.exchange->request, body, 1), -1);
    assert_int_equal(errno, ETIMEDOUT);
    stream_close(&stream);
}

static void a_worker_that_stops_says_so(void **state)
{
    struct stream stream;
    char body[16];
    int error;

    assert_true(given_stream(&stream, MEASURED(50) "\r\nhello", 5, 9));
    stream.is_over = true;
    assert_int_equal(stream_read(&stream, body, sizeof(body), 16, &error), 5);
    assert_int_equal(error, ECONNABORTED);
    assert_int_equal(stream.exchange->request.body.refusal.status, 0);
    stream_close(&stream);
}

static void given_waited(struct stream *stream, uint64_t seconds)
{
    stream->exchange->pull.waited_us += seconds * 1000 * 1000;
}

/* Only what was waited for the client; and only what is body gives some of it back. */
static void the_time_that_was_waited_is_missing_until_bytes_come(void **state)
{
    struct stream stream;
    struct lc_config settings = ordinary_settings();
    char body[16];

    settings.body_timeout = 60;
    settings.body_min_rate = 1;
    assert_true(stream_open(&stream,
                            LC_SLICE(CHUNKED "\r\n5;name=value\r\nhello\r\n9\r\n"), 0, 17,
                            settings));
    given_waited(&stream, 20);
    stream.step = 14;
    assert_int_equal(lc_request_body_read(&stream.exchange->request, body, 5), 5);
    assert_in_range(stream.patience_ms, 39000, 40000); /* before the bytes */
    stream.stays = true;
    assert_int_equal(lc_request_body_read(&stream.exchange->request, body, 5), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_in_range(stream.patience_ms, 44000, 45000);
    stream_close(&stream);
}

static void who_has_used_up_the_time_is_late_without_a_wait(void **state)
{
    struct stream stream;
    struct lc_config settings = ordinary_settings();
    char body[16];

    settings.body_timeout = 60;
    settings.body_min_rate = 1;
    assert_true(stream_open(&stream, LC_SLICE(MEASURED(50) "\r\nhello"), 0, 5, settings));
    given_waited(&stream, 60);
    assert_int_equal(lc_request_body_read(&stream.exchange->request, body, 5), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(stream.exchange->request.body.refusal.status, 408);
    assert_int_equal(stream.patience_ms, 0);
    stream_close(&stream);
}

static void assert_continues(size_t first, const char *expected)
{
    struct stream stream;
    char body[16];
    int error;

    assert_true(
        given_stream(&stream, MEASURED(5) "Expect: 100-continue\r\n\r\nhello", first, 2));
    assert_false(first == 0 && lc_pull_settle(stream.exchange));
    assert_int_equal(stream.sent_len, 0);
    assert_int_equal(stream_read(&stream, body, sizeof(body), 3, &error), 5);
    assert_int_equal(stream.sent_len, strlen(expected));
    assert_memory_equal(stream.sent, expected, stream.sent_len);
    stream_close(&stream);
}

static void a_client_that_waits_is_told_once_to_go_on(void **state)
{
    assert_continues(0, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_continues(2, "");
}

static void a_body_that_has_come_need_not_be_read(void **state)
{
    struct stream stream;

    assert_true(given_stream(&stream, MEASURED(5) "\r\nhelloGET", 1, 4));
    assert_false(lc_pull_settle(stream.exchange));
    stream_send(&stream);
    stream_send(&stream);
    assert_true(lc_pull_settle(stream.exchange));

    struct lc_slice peeked = lc_request_body_peek(&stream.exchange->request);
    struct lc_slice rest = lc_pull_end(stream.exchange);
    assert_true(lc_slice_equals(peeked, LC_SLICE("hello")));
    assert_true(lc_slice_equals(rest, LC_SLICE("GET")));
    stream_close(&stream);
}

/* What was peeked may be on its way to the client when the head of the answer asks. */
static void what_was_peeked_stays_where_it_is(void **state)
{
    struct stream stream;

    assert_true(given_stream(&stream, MEASURED(5) "\r\nhello", 2, 9));
    struct lc_slice before = lc_request_body_peek(&stream.exchange->request);
    stream_send(&stream);
    assert_true(lc_pull_settle(stream.exchange));
    assert_ptr_equal(before.at, lc_request_body_peek(&stream.exchange->request).at);
    stream_close(&stream);
}

static void nobody_reads_far_ahead_of_the_application(void **state)
{
    enum { LARGE = 1024 * 1024 };
    struct stream stream;
    struct lc_config settings = ordinary_settings();
    char *text = malloc(LARGE + 200);
    int len = snprintf(text, 200, MEASURED(1048576) "\r\n");

    memset(text + len, 'x', LARGE);
    assert_true(stream_open(&stream, (struct lc_slice){text, (size_t)len + LARGE}, 60000,
                            10000, settings));
    for (int i = 0; i < 15; i++) {
        stream_send(&stream);
        assert_false(lc_pull_settle(stream.exchange));
    }
    assert_int_equal(lc_request_body_peek(&stream.exchange->request).len, 128 * 1024);
    stream_close(&stream);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_reads_alike_however_it_was_cut),
        cmocka_unit_test(what_came_before_a_fault_is_read_first),
        cmocka_unit_test(a_client_that_stops_is_the_end_of_a_measured_body_only),
        cmocka_unit_test(the_length_is_known_when_somebody_has_said_it),
        cmocka_unit_test(a_late_client_gets_408_if_nothing_else),
        cmocka_unit_test(a_worker_that_stops_says_so),
        cmocka_unit_test(the_time_that_was_waited_is_missing_until_bytes_come),
        cmocka_unit_test(who_has_used_up_the_time_is_late_without_a_wait),
        cmocka_unit_test(a_client_that_waits_is_told_once_to_go_on),
        cmocka_unit_test(a_body_that_has_come_need_not_be_read),
        cmocka_unit_test(what_was_peeked_stays_where_it_is),
        cmocka_unit_test(nobody_reads_far_ahead_of_the_application),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
