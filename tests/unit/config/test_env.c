#include "config/env.h"

#include "base/mem.h"
#include "config/strings.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void words_are_split_as_a_shell_splits_them(void **state)
{
    static const struct {
        const char *text;
        const char *words[5];
    } rows[] = {
        {"", {NULL}},
        {"  \t\n ", {NULL}},
        {"-w 3", {"-w", "3"}},
        {"  -w\t3\n--reload ", {"-w", "3", "--reload"}},
        {"-n 'the shop'", {"-n", "the shop"}},
        {"-n \"the shop\"", {"-n", "the shop"}},
        {"-n the\\ shop", {"-n", "the shop"}},
        {"a'b'\"c\"d", {"abcd"}},
        {"'' \"\"", {"", ""}},
        {"'a\\'", {"a\\"}},
        {"\"a\\\"b\\\\c\\d\"", {"a\"b\\c\\d"}},
        {"'a\"b' \"c'd\"", {"a\"b", "c'd"}},
        {"# no comment", {"#", "no", "comment"}},
    };

    for (size_t i = 0; i < LC_COUNT(rows); i++) {
        struct lc_strings words = {0};
        struct lc_error err = {0};
        size_t count = 0;

        assert_int_equal(lc_env_split(rows[i].text, &words, &err), 0);
        for (; rows[i].words[count] != NULL; count++) {
            assert_true(count < words.count);
            assert_string_equal(words.items[count], rows[i].words[count]);
        }
        assert_int_equal(words.count, count);
        lc_strings_clear(&words);
    }
}

static void what_is_left_open_is_an_error(void **state)
{
    static const char *const rows[][2] = {
        {"-n 'x", "a quotation is not closed: ' is missing"},
        {"-n \"x'", "a quotation is not closed: \" is missing"},
        {"-n \"x\\\"", "a quotation is not closed: \" is missing"},
        {"-n x\\", "nothing follows the last backslash"},
        {"-n \"x\\", "nothing follows the last backslash"},
    };

    for (size_t i = 0; i < LC_COUNT(rows); i++) {
        struct lc_strings words = {0};
        struct lc_error err = {0};

        assert_int_equal(lc_env_split(rows[i][0], &words, &err), -1);
        assert_int_equal(err.code, LC_E_CONFIG);
        assert_string_equal(err.text, rows[i][1]);
        lc_strings_clear(&words);
    }
}

static void only_variables_that_are_set_speak(void **state)
{
    struct lc_source source = {0};

    unsetenv("WEB_CONCURRENCY");
    unsetenv("SENDFILE");
    unsetenv("FORWARDED_ALLOW_IPS");
    setenv("PORT", "8080", 1);
    lc_env_read(&source);
    assert_int_equal(source.count, 1);
    assert_ptr_equal(source.items[0].setting, &lc_settings[LC_SET_bind]);
    assert_string_equal(source.items[0].values.items[0], "0.0.0.0:8080");
    assert_string_equal(source.items[0].origin.place, "PORT");
    lc_source_clear(&source);

    unsetenv("PORT");
    lc_env_read(&source);
    assert_int_equal(source.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_split_as_a_shell_splits_them),
        cmocka_unit_test(what_is_left_open_is_an_error),
        cmocka_unit_test(only_variables_that_are_set_speak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
