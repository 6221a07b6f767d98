#include "app/module.h"

#include <licorne/error.h>
#include <licorne/module.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_refused(const char *path, const char *text)
{
    struct lc_error err = {.code = LC_E_NONE};

    assert_null(lc_module_load(path, &err));
    assert_int_equal(err.code, LC_E_APP_LOAD);
    assert_string_equal(err.text, text);
}

static void a_module_is_loaded(void **state)
{
    struct lc_error err;
    const struct lc_module *module = lc_module_load(TEST_MODULES "/shop.so", &err);

    (void)state;
    assert_non_null(module);
    assert_string_equal(module->name, "shop");
    assert_string_equal(module->routes[0].path, "/");
    assert_ptr_equal(lc_module_load(TEST_MODULES "/shop.so", &err), module);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    assert_refused(TEST_MODULES "/none.so", "there is no file " TEST_MODULES "/none.so");
    assert_refused(TEST_MODULES "/shop.so/x.so",
                   TEST_MODULES "/shop.so/x.so: Not a directory");
    assert_refused(TEST_MODULES, TEST_MODULES ": Is a directory");
}

static void what_is_not_elf_is_said_so(void **state)
{
    char path[] = "/tmp/licorne-test-module-XXXXXX";
    char text[128];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    snprintf(text, sizeof(text), "%s is not a shared object (ELF file)", path);
    assert_refused(path, text); /* empty */
    assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
    assert_refused(path, text);

    struct lc_error err;
    assert_int_equal(pwrite(fd, "\177ELF and no more", 16, 0), 16);
    assert_null(lc_module_load(path, &err));
    assert_int_equal(err.code, LC_E_APP_LOAD);
    assert_non_null(strstr(err.text, path));
    close(fd);
    unlink(path);
}

static void an_undefined_symbol_is_named(void **state)
{
    struct lc_error err;

    (void)state;
    assert_null(lc_module_load(TEST_MODULES "/unresolved.so", &err));
    assert_int_equal(err.code, LC_E_APP_LOAD);
    assert_non_null(strstr(err.text, "cannot load " TEST_MODULES "/unresolved.so: "));
    assert_non_null(strstr(err.text, "undefined symbol: lc_test_nobody_has_this"));
}

static void what_is_no_module_is_refused(void **state)
{
    char old[128];

    (void)state;
    assert_refused(TEST_MODULES "/stranger.so",
                   "stranger.so does not export licorne_module: it is no module");
    snprintf(old, sizeof(old),
             "old.so was built for interface %d, this is %d: build it again", LC_ABI + 1,
             LC_ABI);
    assert_refused(TEST_MODULES "/old.so", old);
    assert_refused(TEST_MODULES "/nameless.so", "nameless.so does not say its .name");
    assert_refused(TEST_MODULES "/empty.so",
                   "empty.so must bring either .routes or a kind of .app");
}

static void a_missing_plugin_names_both_places_and_the_package(void **state)
{
    struct lc_error err;

    (void)state;
    assert_null(lc_module_load_plugin("no-such.so", "licorne-no-such", &err));
    assert_int_equal(err.code, LC_E_APP_LOAD);
    assert_non_null(strstr(err.text, "the plugin no-such.so is neither in "));
    assert_non_null(strstr(err.text, "/../lib/licorne/plugins nor in /"));
    assert_non_null(strstr(err.text, ": install the package licorne-no-such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_loaded),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(what_is_not_elf_is_said_so),
        cmocka_unit_test(an_undefined_symbol_is_named),
        cmocka_unit_test(what_is_no_module_is_refused),
        cmocka_unit_test(a_missing_plugin_names_both_places_and_the_package),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
