/* What an application returns: pieces, generators, wrapped files. */
#include "given_app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- iteration ---- */

static void pieces_leave_one_by_one(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/pieces");
    serve(&r);
    assert_string_equal(answer(&r), "abcd");
    assert_int_equal(r.flushes, 4); /* not before the first; b"" needs one too */
    forget(&r);
    assert_answers("/what_was_closed", "pieces");
}

static void a_complete_response_may_be_held(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/pieces_length");
    serve(&r);
    assert_string_equal(answer(&r), "abc");
    assert_int_equal(r.flushes, 1); /* after "a"; after "bc" nothing is missing */
    forget(&r);
}

static void all_kinds_of_bodies_are_served(void **state)
{
    assert_answers("/hello", "hello");
    assert_answers("/tuple_of_one", "tuple");
    assert_answers("/list_of_many", "abc");
    assert_answers("/generator", "generated");
    assert_answers("/pieces_none", "");
    assert_answers("/wrapper_by_hand", "0123|4567|89");
    assert_fails("/list_of_str", "TypeError: 'text' is not a byte");
    assert_fails("/not_iterable", "TypeError: 'int' object is not iterable");
}

static void a_large_body_is_not_copied_and_released_once(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/large");
    serve(&r);
    assert_int_equal(r.answer_size, 1000000);
    assert_false(r.was_copied);
    assert_non_null(r.release);
    forget(&r); /* releases between two turns, without Python's lock */
    assert_answers("/hello", "hello");
}

static void a_slow_client_suspends_the_iteration(void **state)
{
    struct lc_request r;
    unsigned resumed = 0;

    get("/what_was_closed");
    given_request(&r, "GET", "/many?1000");
    r.reads_slowly_after = 999;
    serve(&r);
    while (!r.is_ended) {
        assert_true(r.unsent <= 1004);
        assert_answers("/hello", "hello"); /* others are served meanwhile */
        client_catches_up(&r);
        resumed++;
    }
    assert_int_equal(r.answer_size, 5000);
    assert_int_equal(resumed, 5);
    assert_int_equal(strncmp(r.answer, "0000000001", 10), 0);
    assert_string_equal(r.answer + 4990, "0099800999");
    forget(&r);
    assert_answers("/what_was_closed", "many");
}

static void a_client_that_goes_ends_the_iteration(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/forever");
    r.reads_slowly_after = 999;
    serve(&r);
    assert_false(r.is_ended);
    client_catches_up(&r);
    assert_false(r.is_ended);

    r.goes_after = 0;
    client_catches_up(&r);
    assert_true(r.is_aborted);
    assert_string_equal(logged, "");
    forget(&r);

    given_request(&r, "GET", "/many?1000");
    r.goes_after = 2000;
    serve(&r);
    assert_true(r.is_aborted);
    assert_string_equal(logged, "");
    forget(&r);
    assert_answers("/what_was_closed", "forever many");
}

static void close_is_called_once_whatever_happens(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    assert_answers("/pieces", "abcd");
    assert_answers("/pieces_none", "");
    assert_fails("/pieces_str_first", "TypeError: 'b' is not a byte");
    assert_fails("/pieces_fail_first", "ZeroDivisionError: at once");
    static const char *const broken[] = {"/pieces_str", "/pieces_fail", "/pieces_exit"};
    for (size_t i = 0; i < 3; i++) {
        given_request(&r, "GET", broken[i]);
        serve(&r);
        assert_true(r.is_aborted);
        assert_string_equal(answer(&r), "a");
        assert_has(logged, broken[i]);
        forget(&r);
    }
    assert_answers("/what_was_closed",
                   "pieces pieces_none pieces_str_first "
                   "pieces_fail_first pieces_str pieces_fail pieces_exit");
}

static void a_failing_close_is_logged_only(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/close_fails");
    serve(&r);
    assert_false(r.is_aborted);
    assert_string_equal(answer(&r), "a");
    assert_has(logged, "ERROR Error handling request GET /close_fails\n");
    assert_has(logged, "RuntimeError: close failed");
    forget(&r);
}

static void two_streams_keep_their_contexts_apart(void **state)
{
    struct lc_request one, two;

    given_request(&one, "GET", "/context_stream?one");
    given_request(&two, "GET", "/context_stream?two");
    one.reads_slowly_after = two.reads_slowly_after = 0;
    serve(&one);
    serve(&two);
    while (!one.is_ended || !two.is_ended) {
        if (!one.is_ended)
            client_catches_up(&one);
        if (!two.is_ended)
            client_catches_up(&two);
    }
    assert_string_equal(answer(&one), "oneoneoneonenobody");
    assert_string_equal(answer(&two), "twotwotwotwonobody");
    forget(&one);
    forget(&two);
}

static void a_context_does_not_leak_into_the_next_request(void **state)
{
    assert_answers("/context_leak", "nobody");
    assert_answers("/context_leak", "nobody");
}

/* ---- files ---- */

static void a_wrapped_file_leaves_in_large_blocks(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/wrapped_file");
    r.reads_slowly_after = 100000;
    serve(&r);
    while (!r.is_ended) {
        assert_true(r.unsent <= 3 * 65536);
        client_catches_up(&r);
    }
    assert_int_equal(r.answer_size, 200000);
    forget(&r);
    assert_answers("/file_sizes", "[65536, 65536, 65536, 65536, 65536]");
    assert_answers("/what_was_closed", "file");
    assert_fails("/wrapped_text", "TypeError: 'text' is not a byte");
}

static void a_file_is_read_as_far_as_its_length_says(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/wrapped_file?70000");
    serve(&r);
    assert_int_equal(r.answer_size, 70000);
    forget(&r);
    assert_answers("/file_sizes", "[65536, 4464]");
    assert_answers("/what_was_closed", "file");
}

/* Serves what `expression` opens; whether the host was given the descriptor. */
static bool is_sent_as_file(const char *expression, const char *expected)
{
    struct lc_request r;
    char target[256];
    bool is_file;

    get("/what_was_closed");
    snprintf(target, sizeof(target), "/wrapped_plain?%s", expression);
    given_request(&r, "GET", target);
    serve(&r);
    assert_string_equal(answer(&r), expected);
    assert_string_equal(logged, "");
    is_file = r.was_sent_as_file;
    forget(&r);
    assert_answers("/what_was_closed", "plain");
    return is_file;
}

static void a_plain_file_is_left_to_the_host(void **state)
{
    static const char rest[] = "56789"
                               "0123456789012345678901234567890123456789"
                               "012345678901234567890123456789";

    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'rb'))", rest));
    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'rb',0))", rest));
    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'r%2Bb'))", rest));
    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'r%2Bb',0))", rest));
}

static void what_reads_otherwise_than_its_descriptor_is_read(void **state)
{
    assert_false(is_sent_as_file("io.BytesIO(b'bytes')", "bytes"));
    assert_false(is_sent_as_file("open('/proc/sys/kernel/ostype','rb')", "Linux\n"));
    assert_false(is_sent_as_file(
        "gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(b'zip')))", "zip"));
    assert_false(is_sent_as_file("tempfile.SpooledTemporaryFile()", ""));
    assert_false(is_sent_as_file("open('/dev/null','rb')", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_leave_one_by_one),
        cmocka_unit_test(a_complete_response_may_be_held),
        cmocka_unit_test(all_kinds_of_bodies_are_served),
        cmocka_unit_test(a_large_body_is_not_copied_and_released_once),
        cmocka_unit_test(a_slow_client_suspends_the_iteration),
        cmocka_unit_test(a_client_that_goes_ends_the_iteration),
        cmocka_unit_test(close_is_called_once_whatever_happens),
        cmocka_unit_test(a_failing_close_is_logged_only),
        cmocka_unit_test(two_streams_keep_their_contexts_apart),
        cmocka_unit_test(a_context_does_not_leak_into_the_next_request),
        cmocka_unit_test(a_wrapped_file_leaves_in_large_blocks),
        cmocka_unit_test(a_file_is_read_as_far_as_its_length_says),
        cmocka_unit_test(a_plain_file_is_left_to_the_host),
        cmocka_unit_test(what_reads_otherwise_than_its_descriptor_is_read),
    };

    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
