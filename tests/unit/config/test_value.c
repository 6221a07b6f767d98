#include "given_config.h"

/* Loads a file that holds one line in [server]. */
static struct lc_config *loaded_line(void **state, const char *line)
{
    LC_AUTOFREE char *text = lc_printf("[server]\n%s\n", line);

    given_file(*state, "shop.ini", text);
    return loaded("-c", "shop.ini");
}

static const char *error_of_line(void **state, const char *line)
{
    struct given *g = *state;

    assert_null(loaded_line(state, line));
    assert_int_equal(g->err.code, LC_E_CONFIG);
    assert_memory_equal(g->err.text, "shop.ini:2: ", 12);
    return g->err.text + 12;
}

static void numbers_in_files_may_have_a_base(void **state)
{
    static const struct {
        const char *text;
        long value;
    } rows[] = {{"7", 7},         {"007", 7},   {"010", 10},
                {"0x1F", 31},     {"0o17", 15}, {"0b101", 5},
                {"1_000", 1000},  {"+4", 4},    {"\"4\"", 4},
                {" 5 ; five", 5}, {"0", 0},     {"2147483647", 2147483647}};

    for (size_t i = 0; i < LC_COUNT(rows); i++) {
        LC_AUTOFREE char *line = lc_printf("max_requests = %s", rows[i].text);
        const struct lc_config *config = loaded_line(state, line);

        assert_non_null(config);
        assert_int_equal(config->max_requests, rows[i].value);
    }
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"x", "'x' is not a number"},
        {"", "'' is not a number"},
        {"30.5", "'30.5' is not a whole number"},
        {"1e3", "'1e3' is not a whole number"},
        {"12ab", "'12ab' is not a number"},
        {"1__0", "'1__0' is not a number"},
        {"_1", "'_1' is not a number"},
        {"1_", "'1_' is not a number"},
        {"0x", "'0x' is not a number"},
        {"0b2", "'0b2' is not a number"},
        {"- 1", "'- 1' is not a number"},
        {"true", "'true' is not a number"},
        {"-1", "-1 is negative: 0 or more is needed"},
        {"-99999999999999999999",
         "-99999999999999999999 is negative: 0 or more is needed"},
        {"-9223372036854775808", /* which has no positive counterpart */
         "-9223372036854775808 is negative: 0 or more is needed"},
        {"2147483648", "2147483648 is too large: at most 2147483647"},
        {"99999999999999999999", "99999999999999999999 is too large: at most 2147483647"},
    };

    for (size_t i = 0; i < LC_COUNT(rows); i++) {
        LC_AUTOFREE char *line = lc_printf("timeout = %s", rows[i][0]);
        LC_AUTOFREE char *text = lc_printf("timeout: %s", rows[i][1]);

        assert_string_equal(error_of_line(state, line), text);
    }
}

static void one_value_cannot_have_several_lines(void **state)
{
    assert_string_equal(error_of_line(state, "timeout = 1\n  backlog = 2"),
                        "timeout: one value is needed, not 2 lines (a line that begins "
                        "with a blank goes on with the value before it)");
}

static void a_leading_zero_is_octal_for_modes_on_the_command_line_only(void **state)
{
    assert_int_equal(loaded("--umask", "022")->umask, 022);
    assert_int_equal(loaded("--umask", "18")->umask, 022);
    assert_int_equal(loaded("--umask", "0x12")->umask, 022);
    assert_int_equal(loaded("--umask", "0")->umask, 0);
    assert_int_equal(loaded_line(state, "umask = 0o022")->umask, 022);
    assert_int_equal(loaded_line(state, "umask = 18")->umask, 022);
    assert_int_equal(loaded_line(state, "umask = 0")->umask, 0);
    assert_string_equal(error_of_line(state, "umask = 022"),
                        "umask: '022' is no mode: write 0o022 for octal, 18 for decimal");
    assert_refused(
        "umask (--umask on the command line): 01777 is too large: at most 0777",
        "--umask", "01777");
}

static void booleans_are_true_yes_on_and_false_no_off(void **state)
{
    assert_true(loaded_line(state, "initgroups = True")->initgroups);
    assert_true(loaded_line(state, "initgroups = true")->initgroups);
    assert_false(loaded_line(state, "initgroups = FALSE")->initgroups);
    assert_true(loaded_line(state, "initgroups = yes")->initgroups);
    assert_true(loaded_line(state, "initgroups = on")->initgroups);
    assert_false(loaded_line(state, "sendfile = no")->sendfile);
    assert_false(loaded_line(state, "sendfile = Off")->sendfile);
    assert_string_equal(error_of_line(state, "initgroups = 1"),
                        "initgroups: '1' is neither true (yes, on) nor false (no, off)");
}

static void the_sendfile_variable_has_words_of_its_own(void **state)
{
    static const char *const yes[] = {"y", "1", "yes", "TRUE"};

    for (size_t i = 0; i < LC_COUNT(yes); i++) {
        setenv("SENDFILE", yes[i], 1);
        assert_true(loaded(NULL)->sendfile);
    }
    setenv("SENDFILE", "whatever", 1);
    assert_false(loaded(NULL)->sendfile);
    assert_false(loaded("--no-sendfile")->sendfile);
}

static void texts_lose_the_blanks_around_them(void **state)
{
    assert_string_equal(loaded("-n", "  a b\n")->proc_name, "a b");
    assert_string_equal(loaded("-e", " A=1 ")->raw_env.items[0], "A=1");
}

static void an_empty_text_is_none_where_none_is_the_default(void **state)
{
    assert_null(loaded("--access-logfile", "")->accesslog);
    assert_null(loaded_line(state, "pidfile =")->pidfile);
    assert_string_equal(loaded("--access-logformat", "")->access_log_format, "");
}

static void an_empty_list_is_empty(void **state)
{
    assert_int_equal(loaded_line(state, "raw_env =")->raw_env.count, 0);
    assert_string_equal(error_of_line(state, "bind ="),
                        "bind: at least one address is needed");
    assert_string_equal(loaded("-b", "")->bind.items[0], "");
}

static void users_and_groups_are_names_or_numbers(void **state)
{
    assert_int_equal(loaded("-u", "root")->user, 0);
    assert_int_equal(loaded("-u", "12345")->user, 12345);
    assert_int_equal(loaded("-g", "root")->group, 0);
    assert_int_equal(loaded("-g", "12345")->group, 12345);
    assert_refused("user (--user on the command line): there is no user 'no-such-user'",
                   "-u", "no-such-user");
    assert_refused("group (--group on the command line): there is no group 'no-such'",
                   "-g", "no-such");
    assert_refused("user (--user on the command line): there is no user '-1'", "-u",
                   "-1");
    assert_refused("user (--user on the command line): 4294967295 is too large", "-u",
                   "4294967295");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_in_files_may_have_a_base),
        TEST(what_is_no_number_is_refused),
        TEST(one_value_cannot_have_several_lines),
        TEST(a_leading_zero_is_octal_for_modes_on_the_command_line_only),
        TEST(booleans_are_true_yes_on_and_false_no_off),
        TEST(the_sendfile_variable_has_words_of_its_own),
        TEST(texts_lose_the_blanks_around_them),
        TEST(an_empty_text_is_none_where_none_is_the_default),
        TEST(an_empty_list_is_empty),
        TEST(users_and_groups_are_names_or_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
