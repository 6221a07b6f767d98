#include "config/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const char *suggested(const char *wrong)
{
    static const char *const names[] = {"workers", "worker_class", "bind",
                                        "timeout", "keepalive",    "user"};
    struct lc_suggestion near;

    lc_suggestion_init(&near, wrong);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        lc_suggestion_offer(&near, names[i]);
    return near.best;
}

static void the_nearest_name_is_meant(void **state)
{
    assert_string_equal(suggested("wrokers"), "workers");  /* swapped  */
    assert_string_equal(suggested("worker"), "workers");   /* missing  */
    assert_string_equal(suggested("workerss"), "workers"); /* too many */
    assert_string_equal(suggested("workars"), "workers");  /* changed  */
    assert_string_equal(suggested("worker-class"), "worker_class");
    assert_string_equal(suggested("keep_alive"), "keepalive");
}

static void what_resembles_nothing_gets_no_suggestion(void **state)
{
    char huge[300];

    assert_null(suggested("x"));
    assert_null(suggested(""));
    assert_null(suggested("database"));
    memset(huge, 'w', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    assert_null(suggested(huge));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_name_is_meant),
        cmocka_unit_test(what_resembles_nothing_gets_no_suggestion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
