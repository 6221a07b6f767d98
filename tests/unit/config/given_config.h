/* What the tests of whole configurations share: a start directory and an empty environment. */
#pragma once
#include "base/mem.h"
#include "config/load.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORDS_MAX = 16 };

struct given {
    char dir[32];
    char old_dir[4096];
    struct lc_config *config;
    struct lc_error err;
};

static void given_file(struct given *g, const char *name, const char *text)
{
    LC_AUTOFREE char *path = lc_printf("%s/%s", g->dir, name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

/* Loads with the words as the command line, which end with NULL. */
static struct lc_config *loaded_words(struct given *g, const char *first, ...)
{
    char *argv[WORDS_MAX] = {(char *)"licorne"};
    int argc = 1;
    va_list words;

    va_start(words, first);
    for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
        assert_true(argc < WORDS_MAX - 1);
        argv[argc++] = (char *)word;
    }
    va_end(words);
    lc_config_destroy(g->config);
    memset(&g->err, 0, sizeof(g->err));
    g->config = lc_config_load_in(g->dir, argc, argv, &g->err);
    return g->config;
}

/* loaded("-w", "3"); without words: loaded(NULL). */
#define loaded(...) loaded_words(*state, __VA_ARGS__, NULL)

#define assert_refused(error_text, ...)                                      \
    do {                                                                     \
        assert_null(loaded(__VA_ARGS__));                                    \
        assert_int_equal(((struct given *)*state)->err.code, LC_E_CONFIG);   \
        assert_string_equal(((struct given *)*state)->err.text, error_text); \
    } while (0)

static int begin(void **state)
{
    static const char *const variables[] = {
        "PORT",    "WEB_CONCURRENCY",   "SENDFILE",        "FORWARDED_ALLOW_IPS",
        "COLUMNS", "GUNICORN_CMD_ARGS", "LICORNE_CMD_ARGS"};
    struct given *g = lc_new(struct given);

    for (size_t i = 0; i < LC_COUNT(variables); i++)
        unsetenv(variables[i]);
    snprintf(g->dir, sizeof(g->dir), "/tmp/licorne-config-XXXXXX");
    *state = g;
    return getcwd(g->old_dir, sizeof(g->old_dir)) != NULL && mkdtemp(g->dir) != NULL ? 0
                                                                                     : -1;
}

static int end(void **state)
{
    static const char *const names[] = {"licorne.ini", "gunicorn.conf.py", "shop.ini",
                                        "sub"};
    struct given *g = *state;

    lc_config_destroy(g->config);
    for (size_t i = 0; i < LC_COUNT(names); i++) {
        LC_AUTOFREE char *path = lc_printf("%s/%s", g->dir, names[i]);
        remove(path);
    }
    /* A test may have gone there. */
    int rc = chdir(g->old_dir) | rmdir(g->dir);
    free(g);
    return rc;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
