/* What goes wrong in an application, what it logs, and what it leaves behind. */
#include "given_app.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- errors and the log ---- */

static void an_exception_is_logged_with_its_traceback(void **state)
{
    assert_fails("/fail", "ERROR Error handling request GET /fail\n"
                          "Traceback (most recent call last):\n");
    assert_fails("/fail", "raise ValueError(\"broken <by> design\")\n");
    assert_fails("/fail", "ValueError: broken <by> design\n");
    assert_fails("/fail_after_start", "ValueError: after start");
    assert_fails("/fail_unprintable", "Unprintable");
}

static void nothing_an_application_raises_ends_the_worker(void **state)
{
    assert_fails("/leave", "SystemExit: 3");
    assert_fails("/interrupt", "KeyboardInterrupt");
    assert_answers("/hello", "hello");
}

static void wsgi_errors_go_to_the_log_line_by_line(void **state)
{
    assert_string_equal(get("/log"), "logged");
    assert_string_equal(raw, "one line\n[]no newline \\udc80[]left over; TypeError[]");
}

static void threads_may_log_and_read_during_the_call(void **state)
{
    struct lc_request r;

    given_request(&r, "POST", "/log_in_thread");
    given_body(&r, "body");
    serve(&r);
    assert_string_equal(answer(&r), "joined");
    assert_string_equal(raw, "thread read b'body'\n[]");
    forget(&r);
}

static void a_thread_that_outlives_its_request_may_log(void **state)
{
    assert_answers("/log_later", "started");
    assert_answers("/let_it_log", "done");
    assert_string_equal(raw, "from afar\n[]too late to read\n[]");
}

/* ---- leaks ---- */

static void serve_all_kinds(void)
{
    static const char *const kinds[] = {
        "/hello",        "/large",        "/show_environ?x=1", "/pieces",
        "/generator",    "/list_of_many", "/wrapped_file",     "/writer",
        "/context_leak", "/header_many",  "/start_again",      "/keep_input",
        "/fail",         "/no_start",     "/header_split",     "/start_twice",
        "/pieces_fail",  "/not_iterable", "/header_int",       "/status_short"};
    struct lc_request r;
    char value[32];
    static unsigned number;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct lc_keep keep = {0};

        given_request(&r, "POST", kinds[i]);
        r.keep = &keep;
        r.reads_slowly_after = i % 3 == 0 ? 2 : SIZE_MAX;
        given_header(&r, "Host", "localhost");
        snprintf(value, sizeof(value), "agent %u", number++);
        given_header(&r, "User-Agent", value);
        given_header(&r, "X-Unknown-And-Far-Too-Long-To-Be-Kept-By-Its-Spelling-Here",
                     value);
        given_header(&r, "Accept", "a");
        given_header(&r, "Accept", "b");
        given_body(&r, "a\nb\n");
        serve(&r);
        while (!r.is_ended)
            client_catches_up(&r);
        forget(&r);
        keep.release(keep.data);
    }
}

static long blocks_in_use(void)
{
    get("/what_was_closed");
    return atol(get("/allocated_blocks"));
}

static void twenty_thousand_requests_leave_nothing_behind(void **state)
{
    enum { ROUNDS = 500, KINDS = 20, SLACK = 700 };

    for (int i = 0; i < ROUNDS; i++)
        serve_all_kinds();
    long before = blocks_in_use();
    for (int i = 0; i < 2 * ROUNDS; i++)
        serve_all_kinds();
    long after = blocks_in_use();

    /* One block lost in one kind of request would be 1000. */
    if (after - before > SLACK)
        fail_msg("%ld blocks before, %ld after %d requests", before, after,
                 2 * ROUNDS * KINDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exception_is_logged_with_its_traceback),
        cmocka_unit_test(nothing_an_application_raises_ends_the_worker),
        cmocka_unit_test(wsgi_errors_go_to_the_log_line_by_line),
        cmocka_unit_test(threads_may_log_and_read_during_the_call),
        cmocka_unit_test(a_thread_that_outlives_its_request_may_log),
        cmocka_unit_test(twenty_thousand_requests_leave_nothing_behind),
    };

    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
