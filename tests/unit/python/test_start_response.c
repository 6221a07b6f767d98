/* start_response, write and early hints. */
#include "given_app.h"

#include <stdlib.h>

static void assert_head(const char *target, const char *status, const char *fields,
                        const char *body)
{
    struct lc_request r;

    given_request(&r, "GET", target);
    serve(&r);
    assert_string_equal(logged, "");
    assert_string_equal(r.status, status);
    assert_string_equal(r.fields, fields);
    assert_string_equal(answer(&r), body);
    forget(&r);
}

static void status_and_fields_arrive(void **state)
{
    assert_head("/hello", "200 OK", "Content-Type: text/plain\n", "hello");
    assert_head("/empty_list", "204 No Content", "", "");
    assert_head("/header_latin", "200 OK", "X-A: caf\xe9\n", "ok");
    assert_head("/header_lists", "200 OK", "X-A: 1\nX-B: 2\n", "ok");
    assert_head("/start_again_named", "200 OK", "X-First: 1\n", "named");
    assert_head("/generator", "200 OK", "X-Late: 1\n", "generated");
}

static void exc_info_replaces_what_has_not_left(void **state)
{
    assert_head("/start_again", "500 Oops", "X-Second: 2\n", "sorry");
}

static void exc_info_raises_again_when_the_head_has_left(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/start_too_late");
    serve(&r);
    assert_true(r.is_aborted);
    assert_string_equal(answer(&r), "begun");
    assert_has(logged, "ValueError: too late\n");
    forget(&r);
}

static void a_response_starts_once(void **state)
{
    assert_fails("/start_twice", "AssertionError: Response headers already set!");
    assert_fails("/no_start", "the application did not call start_response");
    assert_fails("/no_start_pieces", "the application did not call start_response");
    assert_fails("/write_after_failed_start",
                 "AssertionError: write was called without a status");
}

static void wrong_types_are_refused(void **state)
{
    assert_fails("/status_bytes", "TypeError: status must be a str, not b'200 OK'");
    assert_fails("/header_bytes", "TypeError: b'X-A' is not a string");
    assert_fails("/header_int", "TypeError: 2 is not a string");
    assert_fails("/header_triple", "ValueError: a header must be (name, value)");
    assert_fails("/status_short", "ValueError: invalid status 'OK'");
    assert_fails("/status_split", "ValueError: invalid status '200 OK\\r\\nX: y'");
}

static void a_header_that_would_split_the_response_never_leaves(void **state)
{
    assert_fails("/header_split",
                 "ValueError: header 'X-A': the value holds a control byte\n");
    assert_fails("/header_name", "ValueError: header 'X A<b>': the name is no token\n");
    assert_fails("/header_wide", "ValueError: header 'X-A': the value is not latin-1\n");
    assert_head("/start_caught", "503 Sorry", "X-Other: 1\n", "recovered");
}

static void write_sends_at_once(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/writer");
    serve(&r);
    assert_string_equal(answer(&r), "one,two,three");
    assert_int_equal(r.flushes, 2); /* each write(); a list needs none */
    forget(&r);
    assert_fails("/write_str", "TypeError: 'text' is not a byte");
}

static void write_waits_for_a_slow_client(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/write_much");
    r.reads_slowly_after = 4500;
    serve(&r);
    assert_int_equal(r.answer_size, 20000);
    assert_int_equal(r.waits, 4);
    forget(&r);
}

static void write_raises_when_the_client_has_gone(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/write_much");
    r.goes_after = 4500;
    serve(&r);
    assert_true(r.is_aborted);
    assert_int_equal(r.answer_size, 5000);
    assert_has_not(logged, "ERROR");
    forget(&r);
}

static void early_hints_leave_before_the_response(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/early_hints");
    serve(&r);
    assert_string_equal(r.interim, "103 Link: </a.css>; rel=preload\n"
                                   "103 Link: </b.js>\n103 X-Caf\xe9: \xe9\n");
    assert_string_equal(answer(&r), "[None, None, 'ValueError', 'TypeError', "
                                    "'ValueError', 'TypeError', 'ValueError']");
    assert_string_equal(logged, "");
    forget(&r);
    assert_answers("/hint_again", "None");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_hints_leave_before_the_response),
        cmocka_unit_test(status_and_fields_arrive),
        cmocka_unit_test(exc_info_replaces_what_has_not_left),
        cmocka_unit_test(exc_info_raises_again_when_the_head_has_left),
        cmocka_unit_test(a_response_starts_once),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(a_header_that_would_split_the_response_never_leaves),
        cmocka_unit_test(write_sends_at_once),
        cmocka_unit_test(write_waits_for_a_slow_client),
        cmocka_unit_test(write_raises_when_the_client_has_gone),
    };

    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
