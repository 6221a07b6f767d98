/* wsgi.input: the body as an application reads it. */
#include "given_app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_reads(const char *target, const char *body, const char *expected)
{
    enum { IN_MEMORY, IN_FILE, STREAMED, WAYS };

    /* Wherever it lies, and if it is still on its way, it must read alike. */
    for (int way = 0; way < WAYS; way++) {
        struct lc_request r;

        given_request(&r, "POST", target);
        given_body(&r, body);
        r.body_lies_in_file = way == IN_FILE;
        r.body_is_streamed = way == STREAMED;
        serve(&r);
        assert_string_equal(logged, "");
        assert_string_equal(answer(&r), expected);
        forget(&r);
    }
}

static void the_body_reads_like_a_file(void **state)
{
    assert_reads("/read_all", "", "");
    assert_reads("/read_all", "some text", "some text");
    assert_reads("/read_parts", "0123456789", "0|12|3456789||");
    assert_reads("/read_lines", "a\nbc\n\nd", "a\n|bc\n|\n|d");
    assert_reads("/read_lines", "", "");
    assert_reads("/read_iterated", "a\nbc\n\nd\n", "a\n|bc\n|\n|d\n");
    assert_reads("/read_iterated", "\n", "\n");
    assert_reads("/read_line_limits", "abcd\nef\ngh", "ab|cd\n||ef\n|gh");
    assert_reads("/read_lines_hint", "a\nb\nc", "a\n|rest|b\nc");
    assert_reads("/read_wrong", "abc", "TypeError TypeError abc");
}

static void a_line_may_be_longer_than_a_block(void **state)
{
    enum { LONG = 200000, REST = 100000 };
    char *body = malloc(LONG + 1 + REST + 1);

    memset(body, 'x', LONG + 1 + REST);
    body[LONG] = '\n';
    body[LONG + 1 + REST] = '\0';
    assert_reads("/read_mixed", body, "200001 100000");
    free(body);
}

static void a_body_that_cannot_be_read_raises(void **state)
{
    struct lc_request r;

    given_request(&r, "POST", "/read_all");
    given_body(&r, "0123456789");
    r.body_lies_in_file = r.body_fails = true;
    serve(&r);
    assert_true(r.is_aborted);
    assert_has(logged, "OSError");
    forget(&r);
}

/* Reading a streamed body fails with `error` in /read_all. */
static void assert_input_fails(int error, const char *log)
{
    struct lc_request r;

    given_request(&r, "POST", "/read_all");
    given_body(&r, "0123456789");
    r.body_is_streamed = r.body_fails = true;
    r.body_error = error;
    serve(&r);
    assert_true(r.is_aborted);
    assert_starts(logged, log);
    forget(&r);
}

static void a_client_that_fails_while_it_is_read_from_is_no_fault_of_the_application(
    void **state)
{
    assert_input_fails(EBADMSG, "ERROR Socket error processing request.\n"
                                "Traceback (most recent call last):\n");
    assert_has(logged, "is not coded in chunks as it says");
    assert_input_fails(ETIMEDOUT, "DEBUG ");
    assert_input_fails(ECONNRESET, "DEBUG ");
    assert_input_fails(EFBIG, "DEBUG ");
}

static void a_spill_file_that_lost_its_end_reads_short(void **state)
{
    static const char *const targets[] = {"/read_all", "/read_lines", "/read_iterated"};

    for (size_t i = 0; i < 3; i++) {
        struct lc_request r;

        given_request(&r, "POST", targets[i]);
        given_body(&r, "0123456789");
        r.body_lies_in_file = r.body_is_cut = true;
        serve(&r);
        assert_string_equal(answer(&r), "01234");
        forget(&r);
    }
}

static void what_an_application_keeps_raises_later(void **state)
{
    assert_answers("/keep_input", "kept");
    assert_answers("/hello", "hello");
    assert_answers("/use_kept",
                   "ValueError ValueError ValueError RuntimeError RuntimeError");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_reads_like_a_file),
        cmocka_unit_test(a_line_may_be_longer_than_a_block),
        cmocka_unit_test(a_body_that_cannot_be_read_raises),
        cmocka_unit_test(
            a_client_that_fails_while_it_is_read_from_is_no_fault_of_the_application),
        cmocka_unit_test(a_spill_file_that_lost_its_end_reads_short),
        cmocka_unit_test(what_an_application_keeps_raises_later),
    };

    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
