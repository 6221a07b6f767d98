#include "config/argv.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { WORDS_MAX = 16 };

struct given {
    struct lc_command command;
    struct lc_error err;
    int rc;
};

/* Reads the words, which end with NULL. */
static struct given *given_words(struct given *g, const char *first, ...)
{
    char *argv[WORDS_MAX] = {(char *)"licorne"};
    int argc = 1;
    va_list words;

    lc_command_clear(&g->command);
    va_start(words, first);
    for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
        assert_true(argc < WORDS_MAX - 1);
        argv[argc++] = (char *)word;
    }
    va_end(words);
    memset(&g->err, 0, sizeof(g->err));
    g->rc = lc_command_read(&g->command, argc, argv, "command line", &g->err);
    return g;
}

#define GIVEN(...) given_words(*state, __VA_ARGS__, NULL)

static const char *value_of(const struct given *g, enum lc_setting_id id)
{
    const struct lc_assignment *found = lc_source_find(&g->command.source,
                                                       &lc_settings[id]);

    assert_int_equal(g->rc, 0);
    assert_non_null(found);
    return found->values.items[0];
}

static void assert_usage_error(const struct given *g, const char *text)
{
    assert_int_equal(g->rc, -1);
    assert_int_equal(g->err.code, LC_E_USAGE);
    assert_string_equal(g->err.text, text);
}

static void a_value_follows_its_flag_in_every_way_that_argparse_knows(void **state)
{
    assert_string_equal(value_of(GIVEN("-w", "4"), LC_SET_workers), "4");
    assert_string_equal(value_of(GIVEN("-w4"), LC_SET_workers), "4");
    assert_string_equal(value_of(GIVEN("--workers", "4"), LC_SET_workers), "4");
    assert_string_equal(value_of(GIVEN("--workers=4"), LC_SET_workers), "4");
    assert_string_equal(value_of(GIVEN("--workers=4", "-w", "5"), LC_SET_workers), "5");
}

static void a_unique_beginning_stands_for_the_flag(void **state)
{
    assert_string_equal(value_of(GIVEN("--backl=4"), LC_SET_backlog), "4");
    assert_string_equal(value_of(GIVEN("--grace", "9"), LC_SET_graceful_timeout), "9");
    assert_string_equal(value_of(GIVEN("--prel"), LC_SET_preload_app), "true");
    assert_string_equal(value_of(GIVEN("--paste", "x"), LC_SET_paste), "x");
}

static void short_flags_may_stand_together(void **state)
{
    const struct given *g = GIVEN("-DRw3", "app:app");

    assert_string_equal(value_of(g, LC_SET_daemon), "true");
    assert_string_equal(value_of(g, LC_SET_enable_stdio_inheritance), "true");
    assert_string_equal(value_of(g, LC_SET_workers), "3");
    assert_string_equal(g->command.app, "app:app");
}

static void flags_with_two_names_set_one_setting(void **state)
{
    assert_string_equal(value_of(GIVEN("--log-file", "x"), LC_SET_errorlog), "x");
    assert_string_equal(value_of(GIVEN("--error-logfile", "-"), LC_SET_errorlog), "-");
    assert_string_equal(value_of(GIVEN("--paster", "x"), LC_SET_paste), "x");
}

static void a_switch_stores_what_it_says(void **state)
{
    assert_string_equal(value_of(GIVEN("--no-sendfile"), LC_SET_sendfile), "false");
    assert_string_equal(
        value_of(GIVEN("--no-control-socket"), LC_SET_control_socket_disable), "true");
    assert_string_equal(value_of(GIVEN("--proxy-protocol"), LC_SET_proxy_protocol),
                        "auto");
    assert_string_equal(value_of(GIVEN("--proxy-protocol=v2"), LC_SET_proxy_protocol),
                        "v2");
    assert_string_equal(value_of(GIVEN("--proxy-protocol", "v1"), LC_SET_proxy_protocol),
                        "v1");
    assert_string_equal(GIVEN("--proxy-protocol", "shop:app")->command.app, "shop:app");
}

static void the_application_may_stand_before_between_or_behind_options(void **state)
{
    assert_string_equal(GIVEN("a:b", "-w", "2")->command.app, "a:b");
    assert_string_equal(GIVEN("-w", "2", "a:b", "-D")->command.app, "a:b");
    assert_string_equal(GIVEN("-w", "2", "a:b")->command.app, "a:b");
    assert_string_equal(GIVEN("-w", "2", "--", "-odd")->command.app, "-odd");
    assert_null(GIVEN("-w", "2")->command.app);
}

static void further_words_beside_the_application_are_ignored_as_in_gunicorn(void **state)
{
    const struct given *g = GIVEN("-w", "2", "a:b", "c", "d", "--", "e");

    assert_int_equal(g->rc, 0);
    assert_string_equal(g->command.app, "a:b");
}

static void a_word_that_options_separate_from_the_application_is_an_error(void **state)
{
    assert_usage_error(GIVEN("a:b", "-w", "3", "foo"), "unrecognized arguments: foo");
}

static void repeated_list_flags_gather(void **state)
{
    const struct given *g = GIVEN("-b", "a:1", "--bind=b:2", "-bc:3");
    const struct lc_assignment *bind;

    value_of(g, LC_SET_bind);
    bind = lc_source_find(&g->command.source, &lc_settings[LC_SET_bind]);
    assert_int_equal(bind->values.count, 3);
    assert_string_equal(bind->values.items[0], "a:1");
    assert_string_equal(bind->values.items[1], "b:2");
    assert_string_equal(bind->values.items[2], "c:3");
}

static void an_assignment_knows_its_long_flag(void **state)
{
    const struct given *g = GIVEN("-w", "2");
    const struct lc_assignment *found = lc_source_find(&g->command.source,
                                                       &lc_settings[LC_SET_workers]);

    assert_string_equal(found->origin.flag, "--workers");
    assert_string_equal(found->origin.place, "command line");
}

static void unknown_options_are_named_as_argparse_names_them(void **state)
{
    assert_usage_error(GIVEN("--nope"), "unrecognized arguments: --nope");
    assert_usage_error(GIVEN("--nope=1", "a:b", "-Zxy"),
                       "unrecognized arguments: --nope=1 -Zxy");
}

static void an_unknown_option_that_resembles_another_gets_a_hint(void **state)
{
    assert_usage_error(GIVEN("--wrokers", "3"),
                       "unrecognized arguments: --wrokers (did you mean --workers?)");
    assert_usage_error(GIVEN("--worker_class=sync"),
                       "unrecognized arguments: --worker_class=sync (did you mean "
                       "--worker-class?)");
}

static void a_beginning_of_several_flags_is_ambiguous(void **state)
{
    assert_usage_error(GIVEN("--wor", "3"),
                       "ambiguous option: --wor could match --workers, --worker-class, "
                       "--worker-connections, --worker-tmp-dir");
    assert_usage_error(GIVEN("--back", "--limit-request-field=3"),
                       "argument --backlog: expected one argument");
    assert_usage_error(GIVEN("--limit-request-field=3"),
                       "ambiguous option: --limit-request-field=3 could match "
                       "--limit-request-fields, --limit-request-field_size");
}

static void a_number_must_be_decimal(void **state)
{
    assert_usage_error(GIVEN("-w", "x"), "argument -w/--workers: invalid int value: 'x'");
    assert_usage_error(GIVEN("-w", "0x4"),
                       "argument -w/--workers: invalid int value: '0x4'");
    assert_usage_error(GIVEN("-t", "30.5"),
                       "argument -t/--timeout: invalid int value: '30.5'");
    assert_usage_error(GIVEN("-w", ""), "argument -w/--workers: invalid int value: ''");
    assert_usage_error(GIVEN("-m", "089"),
                       "argument -m/--umask: invalid int value: '089'");
    assert_string_equal(value_of(GIVEN("-w", "010"), LC_SET_workers), "010");
    assert_string_equal(value_of(GIVEN("-m", "022"), LC_SET_umask), "022");
}

static void a_missing_value_is_an_error(void **state)
{
    assert_usage_error(GIVEN("-b"), "argument -b/--bind: expected one argument");
    assert_usage_error(GIVEN("--bind"), "argument -b/--bind: expected one argument");
    assert_usage_error(GIVEN("-b", "-w", "3"),
                       "argument -b/--bind: expected one argument");
    assert_usage_error(GIVEN("-b", "--", "x"),
                       "argument -b/--bind: expected one argument");
}

static void what_begins_with_a_dash_may_still_be_a_value(void **state)
{
    assert_string_equal(value_of(GIVEN("--access-logfile", "-"), LC_SET_accesslog), "-");
    assert_string_equal(value_of(GIVEN("-w", "-1"), LC_SET_workers), "-1");
    assert_string_equal(value_of(GIVEN("-n", "-.5"), LC_SET_proc_name), "-.5");
    assert_string_equal(value_of(GIVEN("-n", "-a b"), LC_SET_proc_name), "-a b");
    assert_string_equal(value_of(GIVEN("-n-x"), LC_SET_proc_name), "-x");
    assert_string_equal(value_of(GIVEN("--name=-x"), LC_SET_proc_name), "-x");
}

static void a_switch_takes_no_value(void **state)
{
    assert_usage_error(GIVEN("--reload=x"),
                       "argument --reload: ignored explicit argument 'x'");
    assert_usage_error(GIVEN("--help=x"),
                       "argument -h/--help: ignored explicit argument 'x'");
}

static void help_and_version_win_over_what_follows(void **state)
{
    assert_int_equal(GIVEN("-h", "-w", "x")->command.action, LC_ACTION_HELP);
    assert_int_equal(GIVEN("--nope", "--help")->command.action, LC_ACTION_HELP);
    assert_int_equal(GIVEN("-v")->command.action, LC_ACTION_VERSION);
    assert_int_equal(GIVEN("--vers")->command.action, LC_ACTION_VERSION);
    assert_usage_error(GIVEN("-w", "x", "-h"),
                       "argument -w/--workers: invalid int value: 'x'");
}

static int begin(void **state)
{
    *state = lc_new(struct given);
    return 0;
}

static int end(void **state)
{
    struct given *g = *state;

    lc_command_clear(&g->command);
    free(g);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_follows_its_flag_in_every_way_that_argparse_knows),
        TEST(a_unique_beginning_stands_for_the_flag),
        TEST(short_flags_may_stand_together),
        TEST(flags_with_two_names_set_one_setting),
        TEST(a_switch_stores_what_it_says),
        TEST(the_application_may_stand_before_between_or_behind_options),
        TEST(further_words_beside_the_application_are_ignored_as_in_gunicorn),
        TEST(a_word_that_options_separate_from_the_application_is_an_error),
        TEST(repeated_list_flags_gather),
        TEST(an_assignment_knows_its_long_flag),
        TEST(unknown_options_are_named_as_argparse_names_them),
        TEST(an_unknown_option_that_resembles_another_gets_a_hint),
        TEST(a_beginning_of_several_flags_is_ambiguous),
        TEST(a_number_must_be_decimal),
        TEST(a_missing_value_is_an_error),
        TEST(what_begins_with_a_dash_may_still_be_a_value),
        TEST(a_switch_takes_no_value),
        TEST(help_and_version_win_over_what_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
