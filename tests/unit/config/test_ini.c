#include "config/ini.h"

#include "base/mem.h"
#include "config/source.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct given {
    struct lc_source source;
    struct lc_error err;
    int rc;
};

static struct given *given_bytes(void **state, const char *bytes, size_t len)
{
    struct given *g = *state;
    FILE *in = fmemopen((void *)bytes, len, "r");

    assert_non_null(in);
    lc_source_clear(&g->source);
    memset(&g->err, 0, sizeof(g->err));
    g->rc = lc_ini_read(in, "shop.ini", &g->source, &g->err);
    fclose(in);
    return g;
}

static struct given *given_text(void **state, const char *text)
{
    return given_bytes(state, text, strlen(text));
}

static const struct lc_assignment *found(const struct given *g, enum lc_setting_id id)
{
    const struct lc_assignment *assignment;

    if (g->rc < 0)
        fail_msg("%s", g->err.text);
    assignment = lc_source_find(&g->source, &lc_settings[id]);
    assert_non_null(assignment);
    return assignment;
}

static const char *value_of(const struct given *g, enum lc_setting_id id)
{
    const struct lc_assignment *assignment = found(g, id);

    assert_int_equal(assignment->values.count, 1);
    return assignment->values.items[0];
}

static void assert_error(const struct given *g, const char *text)
{
    assert_int_equal(g->rc, -1);
    assert_int_equal(g->err.code, LC_E_CONFIG);
    assert_string_equal(g->err.text, text);
}

static void options_of_server_are_settings_with_their_line(void **state)
{
    const struct given *g = given_text(state, "# a comment\n"
                                              "[server]\n"
                                              "workers = 3\n"
                                              "\n"
                                              "Proc_Name: the shop\n");

    assert_string_equal(value_of(g, LC_SET_workers), "3");
    assert_string_equal(found(g, LC_SET_workers)->origin.place, "shop.ini:3");
    assert_string_equal(value_of(g, LC_SET_proc_name), "the shop");
    assert_string_equal(found(g, LC_SET_proc_name)->origin.place, "shop.ini:5");
}

static void comments_are_no_values(void **state)
{
    const struct given *g = given_text(state, "[server]\n"
                                              "; workers = 1\n"
                                              "# workers = 2\n"
                                              "rem workers = 3\n"
                                              "REM\n"
                                              "workers = 4 ; as many as there are cores\n"
                                              "proc_name = a;b # c\n");

    assert_string_equal(value_of(g, LC_SET_workers), "4");
    assert_string_equal(value_of(g, LC_SET_proc_name), "a;b # c");
    assert_int_equal(g->source.count, 2);
}

static void only_the_first_semicolon_of_a_line_can_begin_a_comment(void **state)
{
    const struct given *g = given_text(state, "[server]\n"
                                              "proc_name = a;b ; c\n"
                                              "chdir = d ;e ; f\n");

    assert_string_equal(value_of(g, LC_SET_proc_name), "a;b ; c");
    assert_string_equal(value_of(g, LC_SET_chdir), "d");
}

static void lines_that_begin_with_a_blank_make_a_list(void **state)
{
    const struct given *g = given_text(state, "[server]\n"
                                              "bind = a:1\n"
                                              "  b:2\n"
                                              "\n"
                                              "# between\n"
                                              "   # and indented\n"
                                              "\tunix:/c ; d # e\n"
                                              "raw_env =\n"
                                              "  A=1\n"
                                              "workers = 2\n");
    const struct lc_assignment *bind = found(g, LC_SET_bind);

    assert_int_equal(bind->values.count, 3);
    assert_string_equal(bind->values.items[0], "a:1");
    assert_string_equal(bind->values.items[1], "b:2");
    assert_string_equal(bind->values.items[2], "unix:/c ; d # e");
    assert_string_equal(bind->origin.place, "shop.ini:2");
    assert_string_equal(value_of(g, LC_SET_raw_env), "A=1");
    assert_string_equal(value_of(g, LC_SET_workers), "2");
}

static void the_first_option_of_a_section_may_be_indented(void **state)
{
    const struct given *g = given_text(state, "[server]\nworkers = 1\n"
                                              "[server]\n  workers = 2\n");

    assert_string_equal(value_of(g, LC_SET_workers), "2");
}

static void the_last_of_several_options_of_a_name_counts(void **state)
{
    const struct given *g = given_text(
        state, "[server]\nbind = a\n b\nbind = c\nbind = d\n e\n");

    assert_int_equal(found(g, LC_SET_bind)->values.count, 2);
    assert_string_equal(found(g, LC_SET_bind)->values.items[0], "d");
    assert_string_equal(found(g, LC_SET_bind)->origin.place, "shop.ini:5");
}

static void crlf_and_a_byte_order_mark_are_no_part_of_it(void **state)
{
    const struct given *g = given_text(state, "\xef\xbb\xbf[server]\r\nproc_name = x\r\n"
                                              "bind = a\r\n  b");

    assert_string_equal(value_of(g, LC_SET_proc_name), "x");
    assert_string_equal(found(g, LC_SET_bind)->values.items[1], "b");
}

static void quotes_keep_a_text_as_it_is(void **state)
{
    const struct given *g = given_text(state, "[server]\n"
                                              "proc_name = \" ${HOME} \\\"x\\\" \"\n"
                                              "wsgi_app = \"open\n"
                                              "bind =\n  \"\"\n  x\n");

    assert_string_equal(value_of(g, LC_SET_proc_name), " ${HOME} \"x\" ");
    assert_string_equal(value_of(g, LC_SET_wsgi_app), "\"open");
    assert_int_equal(found(g, LC_SET_bind)->values.count, 2);
    assert_string_equal(found(g, LC_SET_bind)->values.items[0], "");
}

static void variables_are_replaced_from_the_environment(void **state)
{
    setenv("LC_TEST_A", "one", 1);
    setenv("LC_TEST_B", "", 1);
    const struct given *g = given_text(
        state, "[server]\n"
               "proc_name = <${LC_TEST_A}${LC_TEST_B}-${LC_TEST_A}>\n"
               "wsgi_app = $LC_TEST_A ${open\n");

    assert_string_equal(value_of(g, LC_SET_proc_name), "<one-one>");
    assert_string_equal(value_of(g, LC_SET_wsgi_app), "$LC_TEST_A ${open");
    assert_error(given_text(state, "[server]\n\nproc_name = ${LC_TEST_NONE}\n"),
                 "shop.ini:3: proc_name: there is no environment variable 'LC_TEST_NONE' "
                 "for ${LC_TEST_NONE}");
    assert_error(given_text(state, "[server]\npidfile = %(here)s/pid\n"),
                 "shop.ini:2: pidfile: %(here)s is not available in this version of "
                 "Licorne");
}

/* `count` times "abcdefghi;#" and a blank, so that a cut may fall on any of them. */
static char *long_text(size_t count)
{
    char *text = lc_malloc(count * 12 + 2);

    for (size_t i = 0; i < count; i++)
        memcpy(text + i * 12, "abcdefghi;# ", 12);
    memcpy(text + count * 12, "x", 2);
    return text;
}

static void a_line_may_be_longer_than_the_parsers_200_bytes(void **state)
{
    for (size_t count = 14; count < 20; count++) {
        LC_AUTOFREE char *text = long_text(count * count);
        LC_AUTOFREE char *file = lc_printf(
            "[server]\naccess_log_format = %s\nworkers = 7\n", text);
        const struct given *g = given_text(state, file);

        assert_string_equal(value_of(g, LC_SET_access_log_format), text);
        assert_string_equal(value_of(g, LC_SET_workers), "7");
        assert_string_equal(found(g, LC_SET_workers)->origin.place, "shop.ini:3");
    }
}

static void every_length_around_the_parsers_limit_is_read_whole(void **state)
{
    for (int len = 150; len < 420; len++) {
        LC_AUTOFREE char *file = lc_printf("[server]\nproc_name = %0*d\n %0*d\nuser=1\n",
                                           len, 7, len + 3, 8);
        const struct given *g = given_text(state, file);
        const struct lc_assignment *name = found(g, LC_SET_proc_name);

        assert_int_equal(name->values.count, 2);
        assert_int_equal(strlen(name->values.items[0]), len);
        assert_int_equal(strlen(name->values.items[1]), len + 3);
        assert_string_equal(found(g, LC_SET_user)->origin.place, "shop.ini:4");
    }
}

static void many_blanks_do_not_end_a_value(void **state)
{
    LC_AUTOFREE char *file = lc_printf("[server]\nproc_name =%600sx%600sy\n%300sz%300s\n",
                                       "", "", "", "");
    const struct lc_assignment *name = found(given_text(state, file), LC_SET_proc_name);

    assert_int_equal(name->values.count, 2);
    assert_int_equal(strlen(name->values.items[0]), 602);
    assert_string_equal(name->values.items[1], "z");
}

static void a_long_comment_is_no_value(void **state)
{
    LC_AUTOFREE char *file = lc_printf("[server]\n# %0500d workers = 3\n"
                                       "proc_name = x ; %0500d\n"
                                       "[server] %0500d proc_name = y\n"
                                       "workers = 2\n",
                                       1, 2, 3);
    const struct given *g = given_text(state, file);

    assert_string_equal(value_of(g, LC_SET_proc_name), "x");
    assert_string_equal(value_of(g, LC_SET_workers), "2");
}

static void an_error_names_the_line_behind_long_ones(void **state)
{
    LC_AUTOFREE char *file = lc_printf(
        "[server]\nproc_name = %0900d\n %0900d\n\nnonsense\n", 1, 2);

    assert_error(given_text(state, file),
                 "shop.ini:5: neither a [section] nor an option = value nor a comment");
}

static void an_unknown_setting_is_an_error_with_a_hint(void **state)
{
    assert_error(given_text(state, "[server]\nwrokers = 3\n"),
                 "shop.ini:2: there is no setting 'wrokers' (did you mean 'workers'?)");
    assert_error(given_text(state, "[server]\nx = 3\nnonsense\n"),
                 "shop.ini:2: there is no setting 'x'\n"
                 "Error: shop.ini:3: neither a [section] nor an option = value nor a "
                 "comment");
}

static void a_section_for_later_is_refused_not_ignored(void **state)
{
    static const char *const names[] = {
        "app:main", "log:access",  "proxies",    "auth",     "cef",
        "global",   "filter:gzip", "pipeline:p", "host:abc", "DEFAULT"};

    for (size_t i = 0; i < LC_COUNT(names); i++) {
        LC_AUTOFREE char *file = lc_printf("[server]\nworkers = 1\n[%s]\n\nx = 1\n",
                                           names[i]);
        LC_AUTOFREE char *text = lc_printf("shop.ini:3: [%s] is not available in this "
                                           "version of Licorne: only [server] is",
                                           names[i]);

        assert_error(given_text(state, file), text);
    }
}

static void an_unknown_section_is_an_error_with_a_hint(void **state)
{
    assert_error(given_text(state, "[sever]\nworkers = 1\n"),
                 "shop.ini:1: there is no section [sever] (did you mean 'server'?)");
    assert_error(given_text(state, "\nworkers = 1\n"),
                 "shop.ini:2: an option before any section: [server] must come first");
}

static void what_is_no_text_is_refused(void **state)
{
    static const char with_nul[] = "[server]\nworkers\0 = 3\n";
    LC_AUTOFREE char *huge = lc_printf("[server]\nproc_name = %070000d\n", 1);

    assert_error(given_bytes(state, with_nul, sizeof(with_nul) - 1),
                 "shop.ini:2: control byte 0x00");
    assert_error(given_text(state, "[server]\nproc_name = a\x1f\n"),
                 "shop.ini:2: control byte 0x1f");
    assert_error(given_text(state, huge),
                 "shop.ini:2: the line is too long: 70012 bytes, at most 65536");
    assert_error(given_text(state, "[server\nworkers = 1\n"),
                 "shop.ini:1: neither a [section] nor an option = value nor a comment");
    assert_error(given_text(state, "[server]\n= 1\n"),
                 "shop.ini:2: there is no setting ''");
}

static int begin(void **state)
{
    *state = lc_new(struct given);
    return 0;
}

static int end(void **state)
{
    struct given *g = *state;

    lc_source_clear(&g->source);
    free(g);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(options_of_server_are_settings_with_their_line),
        TEST(comments_are_no_values),
        TEST(only_the_first_semicolon_of_a_line_can_begin_a_comment),
        TEST(lines_that_begin_with_a_blank_make_a_list),
        TEST(the_first_option_of_a_section_may_be_indented),
        TEST(the_last_of_several_options_of_a_name_counts),
        TEST(crlf_and_a_byte_order_mark_are_no_part_of_it),
        TEST(quotes_keep_a_text_as_it_is),
        TEST(variables_are_replaced_from_the_environment),
        TEST(a_line_may_be_longer_than_the_parsers_200_bytes),
        TEST(every_length_around_the_parsers_limit_is_read_whole),
        TEST(many_blanks_do_not_end_a_value),
        TEST(a_long_comment_is_no_value),
        TEST(an_error_names_the_line_behind_long_ones),
        TEST(an_unknown_setting_is_an_error_with_a_hint),
        TEST(a_section_for_later_is_refused_not_ignored),
        TEST(an_unknown_section_is_an_error_with_a_hint),
        TEST(what_is_no_text_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
