#include "config/problems.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LAST "\nError: there is more, for which no room is left here"

static void add(struct lc_error *all, const char *text)
{
    struct lc_error one;

    lc_error_set(&one, LC_E_CONFIG, "%s", text);
    lc_problems_add(all, &one);
}

static void each_problem_is_a_line(void **state)
{
    struct lc_error all = {.code = LC_E_NONE}, err;

    assert_int_equal(lc_problems_tell(&all, &err), 0);
    add(&all, "one");
    add(&all, "two\nError: three");
    assert_int_equal(lc_problems_tell(&all, &err), -1);
    assert_string_equal(err.text, "one\nError: two\nError: three");
}

static void many_problems_end_with_a_whole_line_that_says_so(void **state)
{
    struct lc_error all = {.code = LC_E_NONE};
    char text[64];

    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "problem number %03d.", i);
        add(&all, text);
    }
    size_t len = strlen(all.text);
    assert_string_equal(all.text + len - strlen(LAST), LAST);
    assert_int_equal(all.text[len - strlen(LAST) - 1], '.');
    assert_int_equal(strstr(all.text, "there is more") - all.text,
                     len - strlen(LAST) + 8);
}

static void of_several_that_come_together_those_that_fit_are_told(void **state)
{
    struct lc_error all = {.code = LC_E_NONE};
    char large[1600];

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    add(&all, large);
    memcpy(large, "first\nError: ", strlen("first\nError: "));
    add(&all, large);
    assert_string_equal(all.text + sizeof(large) - 1, "\nError: first" LAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_problem_is_a_line),
        cmocka_unit_test(many_problems_end_with_a_whole_line_that_says_so),
        cmocka_unit_test(of_several_that_come_together_those_that_fit_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
