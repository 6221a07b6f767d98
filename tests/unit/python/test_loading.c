/* How the plugin finds the interpreter and the application, and how it leaves them. */
#include "given_app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- loading ---- */

static const char *loaded(const char *spec)
{
    static char text[256];
    struct lc_app_options options = options_for(spec);
    struct lc_error err = {0};
    void *here = app;
    void *it = wsgi->open(&options, &err);

    if (it == NULL)
        fail_msg("%s: %s\n%s", spec, err.text, logged);
    app = it;
    snprintf(text, sizeof(text), "%s", get("/"));
    app = here;
    wsgi->close(it);
    return text;
}

static void a_spec_names_an_attribute_or_a_factory(void **state)
{
    assert_string_equal(loaded("loads"), "default");
    assert_string_equal(loaded("loads:other"), "other");
    assert_string_equal(loaded("loads:factory()"), "() []");
    assert_string_equal(loaded("loads:factory('a', 2, k=[1, {'x': None}])"),
                        "('a', 2) [('k', [1, {'x': None}])]");
    assert_string_equal(loaded("shop.wsgi:application"), "shop");
}

static void assert_refused_with(struct lc_app_options *options, enum lc_error_code code,
                                const char *start)
{
    struct lc_error err = {0};

    logged[0] = '\0';
    assert_null(wsgi->open(options, &err));
    assert_int_equal(err.code, code);
    assert_has(err.text, options->spec);
    assert_starts(logged, "ERROR ");
    assert_starts(logged + 6, start);
    assert_has_not(logged, "<licorne>");
    assert_has_not(logged, "importlib");
    assert_answers("/hello", "hello");
}

static void assert_refused(const char *spec, enum lc_error_code code, const char *start)
{
    struct lc_app_options options = options_for(spec);

    assert_refused_with(&options, code, start);
}

/* The record that opening `spec` leaves. */
static const char *complaint(const char *spec)
{
    static char text[8192];
    struct lc_app_options options = options_for(spec);
    struct lc_error err = {0};

    logged[0] = '\0';
    assert_null(wsgi->open(&options, &err));
    snprintf(text, sizeof(text), "%.8000s", logged);
    return text;
}

static void what_is_no_application_is_refused_in_gunicorns_words(void **state)
{
    assert_refused("loads:no_such_thing_at_all", LC_E_APP_LOAD,
                   "Failed to find attribute 'no_such_thing_at_all' in 'loads'.");
    assert_refused(
        "loads:othr", LC_E_APP_LOAD,
        "Failed to find attribute 'othr' in 'loads'. Did you mean 'loads:other'?\n");
    assert_refused("loads:a.b", LC_E_APP_LOAD,
                   "Failed to parse 'a.b' as an attribute name or function call.\n");
    assert_refused("loads:1+", LC_E_APP_LOAD,
                   "Failed to parse '1+' as an attribute name or function call.\n");
    assert_refused("loads:", LC_E_APP_LOAD,
                   "Failed to parse '' as an attribute name or function call.\n");
    assert_refused("loads:a.b()", LC_E_APP_LOAD,
                   "Function reference must be a simple name: 'a.b()'\n");
    assert_refused("loads:factory(x)", LC_E_APP_LOAD,
                   "Failed to parse arguments as literal values: 'factory(x)'\n");
    assert_refused("loads:strict()", LC_E_APP_LOAD,
                   "TypeError: strict() missing 1 required");
    assert_refused("loads:nothing", LC_E_APP_LOAD,
                   "Failed to find application object: 'nothing'\n");
    assert_refused("loads:gives_nothing()", LC_E_APP_LOAD,
                   "Failed to find application object: 'gives_nothing()'\n");
    assert_refused("loads:number", LC_E_APP_LOAD,
                   "Application object must be callable.\n");
}

static void what_cannot_be_imported_is_explained_in_the_first_line(void **state)
{
    const char *text;

    assert_refused("shp.wsgi:application", LC_E_BOOT,
                   "Exception in worker process: No module named 'shp' (application "
                   "shp.wsgi:application); did you mean 'shop.wsgi:application'?; looked "
                   "in: " LICORNE_WSGI_APPS);
    assert_has(complaint("shp.wsgi:application"), "; interpreter /");
    assert_refused(
        "shop.wsgy", LC_E_BOOT,
        "Exception in worker process: No module named 'shop.wsgy' (application "
        "shop.wsgy); did you mean 'shop.wsgi'?; looked in: ");
    assert_refused(
        "apps.py", LC_E_BOOT,
        "Exception in worker process: Failed to find application, did you mean "
        "'apps:application'?");

    text = complaint("needs:application");
    assert_starts(text, "ERROR Exception in worker process: No module named "
                        "'surely_not_installed' (" LICORNE_WSGI_APPS "/needs.py, line 1; "
                        "application needs:application); looked in: ");
    assert_has(text, "\n    import surely_not_installed\n");

    text = complaint("misspelt:application");
    assert_starts(text, "ERROR Exception in worker process: SyntaxError: ");
    assert_has(text, LICORNE_WSGI_APPS "/misspelt.py, line 1; application");

    text = complaint("raises:application");
    assert_starts(
        text,
        "ERROR Exception in worker process: RuntimeError: no database (" LICORNE_WSGI_APPS
        "/raises.py, line 2; application raises");
    assert_has(text, "line 5, in <module>\n    prepare()\n");
    assert_has(text, "RuntimeError: no database\nat all\n");
}

static void exceptions_while_loading_are_boot_failures(void **state)
{
    assert_refused("raises:application", LC_E_BOOT, "Exception in worker process: ");
    assert_refused("needs:application", LC_E_BOOT, "Exception in worker process: ");
    assert_refused("misspelt:application", LC_E_BOOT, "Exception in worker process: ");
    assert_refused("exits:application", LC_E_BOOT,
                   "Exception in worker process: SystemExit: not today (");
    assert_refused(
        "loads:broken_inside()", LC_E_BOOT,
        "Exception in worker process: TypeError: object of type 'int' has no len()");
}

static void pythonpath_adds_folders(void **state)
{
    struct lc_app_options options = options_for("elsewhere");
    struct lc_error err = {0};

    assert_null(wsgi->open(&options, &err));
    options.pythonpath = "/nonexistent, " LICORNE_WSGI_APPS "/more";
    void *it = wsgi->open(&options, &err);
    assert_non_null(it);
    wsgi->close(it);
}

/* ---- interpreters ---- */

static void the_interpreter_is_the_one_that_was_asked_for(void **state)
{
    const char *python = getenv("LICORNE_TEST_PYTHON");
    const char *text = get("/interpreter");
    struct stat st;

    assert_has(text, "\n['licorne']\n");
    assert_has(text, "\nutf-8");
    /* A folder is a virtual environment, and its prefix must be the folder. */
    if (python != NULL && stat(python, &st) == 0 && S_ISDIR(st.st_mode)) {
        assert_starts(text, python);
        assert_has(text, "/bin/python");
    }
}

static void assert_no_python(const char *python, const char *first, const char *second)
{
    struct lc_app_options options = options_for("apps");
    struct lc_error err = {0};

    options.python = python;
    assert_null(wsgi->open(&options, &err));
    assert_int_equal(err.code, LC_E_BOOT);
    assert_has(err.text, first);
    assert_has(err.text, second);
    assert_null(strchr(err.text, '\n'));
}

static char *script(const char *folder, const char *name, const char *text)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fclose(file);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void an_interpreter_that_cannot_be_served_is_named(void **state)
{
    static const char facts[] = "echo licorne executable=$0; echo licorne version=%s; "
                                "echo licorne implementation=%s; "
                                "echo licorne free_threaded=%s";
    char folder[] = "/tmp/licorne-test-XXXXXX";
    char text[512];

    assert_non_null(mkdtemp(folder));
    char *old = script(
        folder, "old",
        (snprintf(text, sizeof(text), facts, "3.7.9", "cpython", ""), text));
    char *pypy = script(
        folder, "pypy",
        (snprintf(text, sizeof(text), facts, "3.10.1", "pypy", ""), text));
    char *free_threaded = script(
        folder, "free",
        (snprintf(text, sizeof(text), facts, "3.13.0", "cpython", "1"), text));
    char *broken = script(folder, "broken",
                          "echo cannot open shared object >&2; exit 127");
    char *other = script(folder, "other", "echo hello");
    char *killed = script(folder, "killed", "kill -9 $$");
    char *data = script(folder, "data", "");
    assert_int_equal(chmod(data, 0644), 0);

    assert_no_python("/no/such/venv", "/no/such/venv", "no such interpreter or virtual");
    assert_no_python("no-such-python", "no-such-python on PATH (",
                     "install Python 3.8 or newer");
    assert_no_python(folder, folder, "not a virtual environment");
    assert_no_python(old, "is Python 3.7.9; 3.8 or newer is needed", old);
    assert_no_python(pypy, "is not CPython", pypy);
    assert_no_python(free_threaded, "free-threaded build of Python 3.13.0",
                     free_threaded);
    assert_no_python(broken, "cannot be run as a Python: cannot open shared object",
                     broken);
    assert_no_python(other, "does not behave like a Python", other);
    assert_no_python(killed, "died of signal 9", killed);
    assert_no_python(data, "cannot run", "Permission denied");

    char *all[] = {old, pypy, free_threaded, broken, other, killed, data};
    for (size_t i = 0; i < 7; i++) {
        unlink(all[i]);
        free(all[i]);
    }
    rmdir(folder);
}

static void a_virtual_environment_that_is_missing_is_named(void **state)
{
    setenv("VIRTUAL_ENV", "/no/such/env", 1);
    assert_no_python(NULL, "VIRTUAL_ENV = /no/such/env", "no such virtual environment");
    unsetenv("VIRTUAL_ENV");
}

/* What a new process of this program says (see serve_once): CPython starts once in each. */
static const char *new_process(const char *environment, const char *spec,
                               const char *target)
{
    static char text[8192];
    char command[512];

    snprintf(command, sizeof(command), "%s /proc/%d/exe get '%s' '%s' 2>&1", environment,
             (int)getpid(), spec, target);
    FILE *child = popen(command, "r");
    assert_non_null(child);
    text[fread(text, 1, sizeof(text) - 1, child)] = '\0';
    pclose(child);
    return text;
}

static void an_interpreter_without_a_shared_library_is_named(void **state)
{
    char folder[] = "/tmp/licorne-test-XXXXXX";
    char environment[128];

    assert_non_null(mkdtemp(folder));
    char *lonely = script(folder, "python3",
                          "echo licorne executable=$0; echo licorne version=3.9.1; "
                          "echo licorne implementation=cpython; "
                          "echo licorne library=libpython3.9.a");
    snprintf(environment, sizeof(environment), "LICORNE_TEST_PYTHON=%s", lonely);

    const char *text = new_process(environment, "apps", "/hello");
    assert_starts(text, lonely);
    assert_has(text, "has no shared libpython3.9");
    assert_has(text, "--enable-shared");
    unlink(lonely);
    free(lonely);
    rmdir(folder);
}

static void files_are_utf_8_under_the_c_locale_as_with_python3(void **state)
{
    assert_has(new_process("LC_ALL=C", "apps", "/interpreter"), "\nutf-8");
    assert_has(new_process("LANG=C", "apps", "/interpreter"), "\nutf-8");
}

static void a_worker_that_is_aborted_tells_the_line_it_was_in(void **state)
{
    const char *text = new_process("LC_ALL=C", "apps", "/abort");

    assert_has(text, "Fatal Python error: Aborted");
    assert_has(text, LICORNE_WSGI_APPS "/apps.py\", line ");
    assert_has(text, " in abort\n");
}

static void script_name_comes_from_the_environment(void **state)
{
    const char *text = new_process("SCRIPT_NAME=/shop", "apps:show_environ",
                                   "/shop/a%20b?c");

    assert_has(text, "PATH_INFO='/a b'\n");
    assert_has(text, "\nSCRIPT_NAME='/shop'\n");
    assert_has(text, "\nRAW_URI='/shop/a%20b?c'\n");
    assert_has(new_process("SCRIPT_NAME=/shop", "apps:show_environ", "/else"),
               "does not start with SCRIPT_NAME");
}

/* ---- leaving ---- */

/* Closes the application for good, so it comes last. */
static void leaving_waits_for_threads_and_runs_exit_handlers(void **state)
{
    char path[] = "/tmp/licorne-test-XXXXXX";
    char target[64], text[128] = "";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    snprintf(target, sizeof(target), "/at_exit?%s", path);
    assert_answers(target, "registered");
    wsgi->close(app);
    app = NULL;

    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "pool\nthread\natexit\n");
    assert_string_equal(logged, "");
    close(fd);
    unlink(path);
}

/* ---- a process of its own ---- */

/* Answers one GET in this process: the body, or why there is no application, on stdout. */
static int serve_once(const char *spec, const char *target)
{
    struct lc_request r;

    if (open_app(spec) < 0)
        return 1;
    given_request(&r, "GET", target);
    serve(&r);
    fputs(answer(&r), stdout);
    forget(&r);
    return close_plugin(NULL);
}

/* For profilers: the same request again and again. */
static int repeat(const char *spec, const char *target, unsigned count)
{
    struct lc_request r;

    if (open_app(spec) < 0)
        return 1;
    for (unsigned i = 0; i < count; i++) {
        given_request(&r, "GET", target);
        given_header(&r, "Host", "127.0.0.1:8000");
        wsgi->call(app, &r);
        while (!r.is_ended)
            wsgi->resume(app, &r);
        forget(&r);
    }
    wsgi->turn_end(app);
    return close_plugin(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_names_an_attribute_or_a_factory),
        cmocka_unit_test(what_is_no_application_is_refused_in_gunicorns_words),
        cmocka_unit_test(what_cannot_be_imported_is_explained_in_the_first_line),
        cmocka_unit_test(exceptions_while_loading_are_boot_failures),
        cmocka_unit_test(pythonpath_adds_folders),
        cmocka_unit_test(the_interpreter_is_the_one_that_was_asked_for),
        cmocka_unit_test(an_interpreter_that_cannot_be_served_is_named),
        cmocka_unit_test(a_virtual_environment_that_is_missing_is_named),
        cmocka_unit_test(an_interpreter_without_a_shared_library_is_named),
        cmocka_unit_test(files_are_utf_8_under_the_c_locale_as_with_python3),
        cmocka_unit_test(a_worker_that_is_aborted_tells_the_line_it_was_in),
        cmocka_unit_test(script_name_comes_from_the_environment),
        cmocka_unit_test(leaving_waits_for_threads_and_runs_exit_handlers),
    };

    if (argc == 4 && strcmp(argv[1], "get") == 0)
        return serve_once(argv[2], argv[3]);
    if (argc == 5 && strcmp(argv[1], "repeat") == 0)
        return repeat(argv[2], argv[3], (unsigned)atoi(argv[4]));
    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
