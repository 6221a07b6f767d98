#include "given_config.h"

#include "base/log.h"
#include "config/config.h"

static void without_any_source_the_defaults_hold(void **state)
{
    const struct lc_config *config = loaded(NULL);

    assert_int_equal(config->bind.count, 1);
    assert_string_equal(config->bind.items[0], "127.0.0.1:8000");
    assert_int_equal(config->workers, 1);
    assert_int_equal(config->timeout, 30);
    assert_int_equal(config->keepalive, 2);
    assert_int_equal(config->header_timeout, 30);
    assert_int_equal(config->body_timeout, 60);
    assert_int_equal(config->write_timeout, 60);
    assert_int_equal(config->backlog, 2048);
    assert_int_equal(config->limit_request_line, 4094);
    assert_int_equal(config->umask, 0);
    assert_int_equal(config->user, geteuid());
    assert_int_equal(config->group, getegid());
    assert_string_equal(config->errorlog, "-");
    assert_null(config->accesslog);
    assert_null(config->app);
    assert_string_equal(config->name, "licorne");
    assert_string_equal(config->chdir, ((struct given *)*state)->dir);
    assert_int_equal(config->action, LC_ACTION_SERVE);
}

static void a_stronger_source_wins(void **state)
{
    setenv("WEB_CONCURRENCY", "2", 1);
    assert_int_equal(loaded(NULL)->workers, 2);
    given_file(*state, "shop.ini", "[server]\nworkers = 3\n");
    assert_int_equal(loaded("-c", "shop.ini")->workers, 3);
    setenv("GUNICORN_CMD_ARGS", "--workers 4", 1);
    assert_int_equal(loaded("-c", "shop.ini")->workers, 4);
    setenv("LICORNE_CMD_ARGS", "--workers 5", 1);
    assert_int_equal(loaded("-c", "shop.ini")->workers, 5);
    assert_int_equal(loaded("-c", "shop.ini", "-w", "6")->workers, 6);
}

static void a_stronger_list_replaces_a_weaker_one(void **state)
{
    const struct lc_config *config;

    setenv("PORT", "1", 1);
    assert_string_equal(loaded(NULL)->bind.items[0], "0.0.0.0:1");
    setenv("GUNICORN_CMD_ARGS", "-b a:2 -b a:3", 1);
    assert_int_equal(loaded(NULL)->bind.count, 2);
    config = loaded("-b", "a:4");
    assert_int_equal(config->bind.count, 1);
    assert_string_equal(config->bind.items[0], "a:4");
}

static void the_strongest_c_names_the_only_file(void **state)
{
    given_file(*state, "shop.ini", "[server]\nworkers = 3\nbacklog = 33\n");
    given_file(*state, "licorne.ini", "[server]\nworkers = 4\n");
    assert_int_equal(loaded(NULL)->workers, 4);
    assert_string_equal(loaded(NULL)->config, "./licorne.ini");
    setenv("GUNICORN_CMD_ARGS", "-c shop.ini", 1);
    assert_int_equal(loaded(NULL)->workers, 3);
    assert_int_equal(loaded("-c", "file:licorne.ini")->workers, 4);
    assert_int_equal(loaded("-c", "licorne.ini")->backlog, 2048);
}

static void an_empty_c_reads_no_file(void **state)
{
    given_file(*state, "licorne.ini", "[server]\nworkers = 4\n");
    given_file(*state, "gunicorn.conf.py", "workers = 5\n");
    assert_int_equal(loaded("-c", "")->workers, 1);
    assert_int_equal(loaded("--config=")->workers, 1);
}

static void a_missing_file_is_an_error(void **state)
{
    assert_refused("nope.ini: No such file or directory", "-c", "nope.ini");
    assert_null(loaded("-c", "."));
}

static void a_file_cannot_name_another(void **state)
{
    given_file(*state, "shop.ini", "[server]\nconfig = x.ini\n");
    assert_refused("shop.ini:2: config: a configuration file cannot name another one; -c "
                   "on the command line can",
                   "-c", "shop.ini");
}

static void the_application_comes_from_the_command_line_else_from_wsgi_app(void **state)
{
    given_file(*state, "licorne.ini", "[server]\nwsgi_app = a.b:c\n");
    assert_string_equal(loaded(NULL)->app, "a.b:c");
    assert_string_equal(loaded(NULL)->name, "a.b:c");
    assert_string_equal(loaded("d:e")->app, "d:e");
    setenv("GUNICORN_CMD_ARGS", "x:y", 1);
    assert_string_equal(loaded(NULL)->app, "a.b:c");
}

static void the_name_in_titles_is_the_most_telling_one(void **state)
{
    given_file(*state, "licorne.ini", "[server]\ndefault_proc_name = fallback\n");
    assert_string_equal(loaded("-c", "", "a:b")->name, "a:b");
    assert_string_equal(loaded("a:b")->name, "fallback");
    assert_string_equal(loaded("a:b", "-n", "shop")->name, "shop");
}

static void help_needs_no_good_configuration(void **state)
{
    given_file(*state, "licorne.ini", "nonsense\n");
    setenv("GUNICORN_CMD_ARGS", "--nonsense", 1);
    assert_int_equal(loaded("--help")->action, LC_ACTION_HELP);
    assert_int_equal(loaded("-v")->action, LC_ACTION_VERSION);
}

static void check_and_print_may_come_from_any_source(void **state)
{
    assert_int_equal(loaded("--check-config")->action, LC_ACTION_CHECK);
    assert_int_equal(loaded("--check-config", "--print-config")->action, LC_ACTION_PRINT);
    given_file(*state, "licorne.ini", "[server]\ncheck_config = true\n");
    assert_int_equal(loaded(NULL)->action, LC_ACTION_CHECK);
}

static void a_usage_error_in_a_variable_names_it(void **state)
{
    struct given *g = *state;

    setenv("GUNICORN_CMD_ARGS", "--nope", 1);
    assert_null(loaded(NULL));
    assert_int_equal(g->err.code, LC_E_USAGE);
    assert_string_equal(g->err.text, "GUNICORN_CMD_ARGS: unrecognized arguments: --nope");
    setenv("GUNICORN_CMD_ARGS", "'", 1);
    assert_refused("GUNICORN_CMD_ARGS: a quotation is not closed: ' is missing", NULL);
}

static void a_wrong_value_is_named_with_its_place(void **state)
{
    given_file(*state, "shop.ini", "[server]\n\nworkers = x\n");
    assert_refused("shop.ini:3: workers: 'x' is not a number", "-c", "shop.ini");
    setenv("WEB_CONCURRENCY", "many", 1);
    assert_refused("workers (environment variable WEB_CONCURRENCY): 'many' is not a "
                   "number",
                   NULL);
    unsetenv("WEB_CONCURRENCY");
    assert_refused("workers (--workers on the command line): -1 is negative: 0 or more "
                   "is needed",
                   "-w", "-1");
    setenv("GUNICORN_CMD_ARGS", "-w -1", 1);
    assert_refused("workers (--workers in GUNICORN_CMD_ARGS): -1 is negative: 0 or more "
                   "is needed",
                   NULL);
}

static void apply_sets_variables_and_unapply_takes_them_back(void **state)
{
    struct given *g = *state;
    const struct lc_config *config = loaded("-e", "LC_TEST_OLD=new", "-e",
                                            "LC_TEST_NEW=a=b", "-e", "LC_TEST_NEW=c");

    setenv("LC_TEST_OLD", "old", 1);
    unsetenv("LC_TEST_NEW");
    /* A second time, as after a reload that failed, changes nothing. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lc_config_apply(config, &g->err), 0);
        assert_string_equal(getenv("LC_TEST_OLD"), "new");
        assert_string_equal(getenv("LC_TEST_NEW"), "c");
    }
    lc_config_unapply(config);
    assert_string_equal(getenv("LC_TEST_OLD"), "old");
    assert_null(getenv("LC_TEST_NEW"));
}

static void apply_enters_chdir_which_does_not_move_the_configuration_file(void **state)
{
    struct given *g = *state;
    LC_AUTOFREE char *sub = lc_printf("%s/sub", g->dir);
    char now[4096];

    assert_int_equal(mkdir(sub, 0700), 0);
    given_file(g, "shop.ini", "[server]\nworkers = 3\nchdir = ./sub\n");
    assert_string_equal(loaded("-c", "shop.ini")->chdir, sub);
    assert_int_equal(lc_config_apply(g->config, &g->err), 0);
    assert_non_null(getcwd(now, sizeof(now)));
    assert_string_equal(now, sub);
    assert_int_equal(loaded("-c", "shop.ini")->workers, 3);
}

static void a_directory_that_vanished_is_an_error_of_apply(void **state)
{
    struct given *g = *state;
    LC_AUTOFREE char *sub = lc_printf("%s/sub", g->dir);
    LC_AUTOFREE char *text = lc_printf("chdir: %s: No such file or directory", sub);

    assert_int_equal(mkdir(sub, 0700), 0);
    assert_non_null(loaded("--chdir", "sub"));
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(lc_config_apply(g->config, &g->err), -1);
    assert_int_equal(g->err.code, LC_E_CONFIG);
    assert_string_equal(g->err.text, text);
}

static void a_reload_keeps_what_needs_a_restart(void **state)
{
    struct given *g = *state;
    struct lc_config *running = loaded("--backlog", "10", "-w", "1");

    g->config = NULL;
    lc_log_open(-1, LC_CRITICAL); /* its warning is not for the test's output */
    assert_non_null(loaded("--backlog", "20", "-w", "2"));
    lc_config_keep_fixed(g->config, running);
    assert_int_equal(g->config->backlog, 10);
    assert_int_equal(g->config->workers, 2);
    lc_config_destroy(running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_any_source_the_defaults_hold),
        TEST(a_stronger_source_wins),
        TEST(a_stronger_list_replaces_a_weaker_one),
        TEST(the_strongest_c_names_the_only_file),
        TEST(an_empty_c_reads_no_file),
        TEST(a_missing_file_is_an_error),
        TEST(a_file_cannot_name_another),
        TEST(the_application_comes_from_the_command_line_else_from_wsgi_app),
        TEST(the_name_in_titles_is_the_most_telling_one),
        TEST(help_needs_no_good_configuration),
        TEST(check_and_print_may_come_from_any_source),
        TEST(a_usage_error_in_a_variable_names_it),
        TEST(a_wrong_value_is_named_with_its_place),
        TEST(apply_sets_variables_and_unapply_takes_them_back),
        TEST(apply_enters_chdir_which_does_not_move_the_configuration_file),
        TEST(a_directory_that_vanished_is_an_error_of_apply),
        TEST(a_reload_keeps_what_needs_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
