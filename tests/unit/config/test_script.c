/* Configurations in a plugin's language, with a plugin of this test: what its file says is what
 * `says` holds. */
#include "config/script.h"

#include "config/hooks.h"
#include "given_config.h"

static struct {
    const char *name, *value;
} says[4];
static const char *fails; /* why `read` does */
static char was_asked[64], interpreter[64], last_call[64], concluded[4096];
static unsigned alive;
static bool has_hooks, a_hook_fails;

static int fake_start(const char *python, struct lc_error *err)
{
    snprintf(interpreter, sizeof(interpreter), "%s", python == NULL ? "" : python);
    return 0;
}

static void *fake_create(struct lc_error *err)
{
    alive++;
    return &alive;
}

static void fake_destroy(void *script)
{
    alive--;
}

static int fake_read(void *script, const char *asked, const char *folder,
                     const struct lc_script_sink *sink, struct lc_error *err)
{
    snprintf(was_asked, sizeof(was_asked), "%s", asked);
    if (fails != NULL)
        return lc_error_set(err, LC_E_CONFIG, "%s", fails);
    for (size_t i = 0; i < LC_COUNT(says) && says[i].name != NULL; i++)
        sink->set(sink->to, says[i].name, &says[i].value, 1, "x.py:7");
    return 0;
}

static int fake_conclude(void *script, const struct lc_script_value *values, size_t count,
                         struct lc_error *err)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++)
        if (values[i].is_from_script || strcmp(values[i].name, "bind") == 0 ||
            strcmp(values[i].name, "pidfile") == 0)
            used += (size_t)snprintf(
                concluded + used, sizeof(concluded) - used, "%s=%s%s ", values[i].name,
                values[i].count == 0 ? "(none)" : values[i].values[0],
                values[i].is_from_script ? "!" : "");
    return 0;
}

static bool fake_has_hooks(void *script)
{
    return has_hooks;
}

static void fake_logging(void *script, bool *writes, bool *makes_access,
                         enum lc_level *least)
{
    *least = LC_INFO;
    *writes = *makes_access = false;
}

static bool fake_tls(void *script, struct lc_script_tls *tls)
{
    if (has_hooks)
        *tls = (struct lc_script_tls){.min_version = 0x0304, .ciphers = strdup("ALL")};
    return has_hooks;
}

static int fake_call(void *script, const char *hook,
                     const struct lc_hook_details *details, struct lc_error *err)
{
    snprintf(last_call, sizeof(last_call), "%s %u", hook, details->age);
    return a_hook_fails ? lc_error_set(err, LC_E_CONFIG, "it failed") : 0;
}

static void fake_nothing(void)
{
}

static void fake_after_fork(bool is_child)
{
}

static const struct lc_script_ops fake = {
    .start = fake_start,
    .create = fake_create,
    .destroy = fake_destroy,
    .read = fake_read,
    .conclude = fake_conclude,
    .has_hooks = fake_has_hooks,
    .logging = fake_logging,
    .tls = fake_tls,
    .call = fake_call,
    .attend = fake_nothing,
    .before_fork = fake_nothing,
    .after_fork = fake_after_fork,
};

static const struct lc_script_ops *find_fake(struct lc_error *err)
{
    return &fake;
}

static void given_python(const char *name, const char *value)
{
    memset(says, 0, sizeof(says));
    says[0].name = name;
    says[0].value = value;
}

static int begin_with_plugin(void **state)
{
    given_python(NULL, NULL);
    fails = NULL;
    has_hooks = a_hook_fails = false;
    was_asked[0] = last_call[0] = concluded[0] = '\0';
    lc_script_set_finder(find_fake);
    return begin(state);
}

static int end_with_plugin(void **state)
{
    int rc = end(state);

    assert_int_equal(alive, 0);
    return rc;
}

/* ------------------------------------------------------------------------------------------- */

static void the_default_file_is_read_before_the_ini_file(void **state)
{
    given_file(*state, "gunicorn.conf.py", "");
    given_file(*state, "licorne.ini", "[server]\nworkers = 4\n");
    given_python("workers", "0x5");
    assert_int_equal(loaded(NULL)->workers, 5);
    assert_string_equal(was_asked, "./gunicorn.conf.py");
    assert_string_equal(loaded(NULL)->config, "./gunicorn.conf.py");
}

static void python_is_known_by_the_name(void **state)
{
    static const char *const names[] = {"x.py", "file:x.py", "python:shop.conf", "x.pyc"};

    for (size_t i = 0; i < LC_COUNT(names); i++) {
        assert_non_null(loaded("-c", names[i]));
        assert_string_equal(was_asked, names[i]);
    }
}

static void options_are_stronger_than_the_file_and_it_than_the_environment(void **state)
{
    setenv("WEB_CONCURRENCY", "2", 1);
    given_python("workers", "3");
    assert_int_equal(loaded("-c", "x.py")->workers, 3);
    assert_int_equal(loaded("-c", "x.py", "-w", "4")->workers, 4);
}

static void the_interpreter_is_the_options(void **state)
{
    assert_non_null(loaded("-c", "x.py", "--python", "/srv/venv"));
    assert_string_equal(interpreter, "/srv/venv");
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    given_python("workers", "-1");
    assert_refused("x.py:7: workers: -1 is negative: 0 or more is needed", "-c", "x.py");
    fails = "x.py:9: NameError: name 'y' is not defined";
    assert_refused("x.py:9: NameError: name 'y' is not defined", "-c", "x.py");
}

static void the_script_learns_what_is_in_force(void **state)
{
    given_python("workers", "3");
    assert_non_null(loaded("-c", "x.py", "-b", ":1", "-p", "/x"));
    assert_string_equal(concluded, "bind=:1 workers=3! pidfile=/x ");
    concluded[0] = '\0';
    assert_non_null(loaded("-c", "x.py", "-b", ":1", "-w", "2"));
    assert_string_equal(concluded, "bind=:1 pidfile=(none) ");
}

static void without_a_reason_no_script_is_made(void **state)
{
    assert_null(loaded("-w", "2")->script);
    assert_int_equal(alive, 0);
    assert_non_null(loaded("--preload")->script);
    given_file(*state, "licorne.ini", "[server]\non_exit = shop.hooks.leave\n");
    assert_non_null(loaded(NULL)->script);
    assert_string_equal(was_asked, "");
}

static void hooks_are_called_where_any_is_set(void **state)
{
    const struct lc_hook_details details = {.age = 4};
    struct lc_error err = {0};

    const struct lc_config *config = loaded("-c", "x.py");
    assert_false(lc_hooks_are_set(config));
    assert_int_equal(lc_hook_call(config, LC_HOOK_PRE_FORK, &details, &err), 0);
    assert_string_equal(last_call, "");

    has_hooks = true;
    config = loaded("-c", "x.py");
    assert_int_equal(lc_hook_call(config, LC_HOOK_PRE_FORK, &details, &err), 0);
    assert_string_equal(last_call, "pre_fork 4");

    a_hook_fails = true;
    assert_int_equal(lc_hook_call(config, LC_HOOK_ON_EXIT, &details, &err), -1);
    assert_int_equal(err.code, LC_E_BOOT);
    assert_string_equal(err.text, "it failed");
}

static void rules_for_tls_are_there_as_long_as_the_script(void **state)
{
    assert_null(lc_script_tls(NULL));
    assert_null(lc_script_tls(loaded("-c", "x.py")->script));
    has_hooks = true;
    const struct lc_script_tls *tls = lc_script_tls(loaded("-c", "x.py")->script);
    assert_int_equal(tls->min_version, 0x0304);
    assert_string_equal(tls->ciphers, "ALL");
}

#define WITH_PLUGIN(name) \
    cmocka_unit_test_setup_teardown(name, begin_with_plugin, end_with_plugin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLUGIN(the_default_file_is_read_before_the_ini_file),
        WITH_PLUGIN(python_is_known_by_the_name),
        WITH_PLUGIN(options_are_stronger_than_the_file_and_it_than_the_environment),
        WITH_PLUGIN(the_interpreter_is_the_options),
        WITH_PLUGIN(what_is_wrong_is_said_with_its_place),
        WITH_PLUGIN(the_script_learns_what_is_in_force),
        WITH_PLUGIN(without_a_reason_no_script_is_made),
        WITH_PLUGIN(hooks_are_called_where_any_is_set),
        WITH_PLUGIN(rules_for_tls_are_there_as_long_as_the_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
