#include <licorne/error.h>

#include "tests/support/cmocka.h"

#include <errno.h>
#include <string.h>

static void a_message_carries_its_code(void **state)
{
    struct lc_error err = {.sys = 5};

    assert_int_equal(lc_error_set(&err, LC_E_CONFIG, "%s = %d", "workers", -1), -1);
    assert_string_equal(err.text, "workers = -1");
    assert_int_equal(err.code, LC_E_CONFIG);
    assert_int_equal(err.sys, 0);
}

static void a_system_error_says_what_failed_and_why(void **state)
{
    struct lc_error err;

    errno = ENOENT;
    assert_int_equal(lc_error_sys(&err, "open %s", "/x"), -1);
    assert_string_equal(err.text, "open /x: No such file or directory");
    assert_int_equal(err.code, LC_E_SYSTEM);
    assert_int_equal(err.sys, ENOENT);
}

static void errno_survives(void **state)
{
    struct lc_error err;

    errno = EACCES;
    lc_error_sys(&err, "open");
    assert_int_equal(errno, EACCES);
}

static void context_is_put_in_front(void **state)
{
    struct lc_error err;

    errno = EADDRINUSE;
    lc_error_sys(&err, "bind");
    assert_int_equal(lc_error_wrap(&err, "bind = %s", "[::1]:80"), -1);
    assert_string_equal(err.text, "bind = [::1]:80: bind: Address already in use");
    assert_int_equal(err.code, LC_E_SYSTEM);
    assert_int_equal(err.sys, EADDRINUSE);
}

static void a_long_text_is_cut_and_ends_in_nul(void **state)
{
    static char longer[3 * LC_ERROR_TEXT_MAX];
    struct lc_error err;

    memset(longer, 'x', sizeof(longer) - 1);
    lc_error_set(&err, LC_E_USAGE, "%s", longer);
    assert_int_equal(strlen(err.text), LC_ERROR_TEXT_MAX - 1);

    lc_error_wrap(&err, "context");
    assert_int_equal(strlen(err.text), LC_ERROR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "context: xxx", 12);

    lc_error_wrap(&err, "%s", longer);
    assert_int_equal(strlen(err.text), LC_ERROR_TEXT_MAX - 1);

    errno = EIO;
    lc_error_sys(&err, "%s", longer);
    assert_int_equal(strlen(err.text), LC_ERROR_TEXT_MAX - 1);
}

static void nobody_has_to_listen(void **state)
{
    assert_int_equal(lc_error_set(NULL, LC_E_BOOT, "x"), -1);
    assert_int_equal(lc_error_sys(NULL, "x"), -1);
    assert_int_equal(lc_error_wrap(NULL, "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_carries_its_code),
        cmocka_unit_test(a_system_error_says_what_failed_and_why),
        cmocka_unit_test(errno_survives),
        cmocka_unit_test(context_is_put_in_front),
        cmocka_unit_test(a_long_text_is_cut_and_ends_in_nul),
        cmocka_unit_test(nobody_has_to_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
