#include "given_config.h"

#include "config/settings.h"

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    print(out);
    fclose(out);
    return text;
}

static char *printed_config(const struct lc_config *config)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_non_null(config);
    lc_config_print(config, out);
    fclose(out);
    return text;
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        longest = len > longest ? len : longest;
        text += len + (text[len] == '\n');
    }
    return longest;
}

static void every_flag_is_in_the_help(void **state)
{
    LC_AUTOFREE char *help = printed(lc_config_help);

    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const char *at = lc_settings[i].flags;
        struct lc_flag flag;

        while (lc_flag_next(&lc_settings[i], &at, &flag))
            if (strstr(help, flag.name) == NULL)
                fail_msg("%s is not there", flag.name);
    }
}

static void the_help_is_an_entry_for_each_setting_in_its_section(void **state)
{
    LC_AUTOFREE char *help = printed(lc_config_help);

    assert_memory_equal(help, "usage: licorne [OPTIONS] [APP_MODULE]\n", 38);
    assert_non_null(
        strstr(help, "\nWorker Processes:\n"
                     "  -w INT, --workers INT\n"
                     "                        How many processes serve requests. [1]\n"
                     "  -k STRING, --worker-class STRING\n"));
    assert_non_null(strstr(help, "  --preload             Load the application"));
    assert_non_null(strstr(help, "  --proxy-protocol [STRING]\n"));
    assert_non_null(strstr(help, "  wsgi_app (in files only)\n"));
    assert_null(strstr(help, "dirty_worker_exit"));
}

static void the_help_fits_the_width_that_is_given(void **state)
{
    static const size_t widths[] = {60, 80, 132};

    for (size_t i = 0; i < LC_COUNT(widths); i++) {
        LC_AUTOFREE char *columns = lc_printf("%zu", widths[i]);

        setenv("COLUMNS", columns, 1);
        LC_AUTOFREE char *help = printed(lc_config_help);
        assert_true(longest_line(help) <= widths[i] - 2);
        assert_true(longest_line(help) > widths[i] - 12);
    }
}

static void each_setting_is_printed_with_its_value_and_where_it_came_from(void **state)
{
    static const char *const lines[] = {
        "\nworkers                            = 3      ",
        "# shop.ini:2\n",
        "\nbind                               = ['a:1', \"it's\"]    ",
        "# command line\n",
        "\nsendfile                           = False  ",
        "# environment SENDFILE\n",
        "\ncontrol_socket_mode                = 384    ",
        "\npidfile                            = None   ",
        "\ntimeout                            = 9      ",
        "# GUNICORN_CMD_ARGS\n",
        "# default\n",
    };

    given_file(*state, "shop.ini", "[server]\nworkers = 3\n");
    setenv("SENDFILE", "no", 1);
    setenv("GUNICORN_CMD_ARGS", "-t 9", 1);
    LC_AUTOFREE char *text = printed_config(
        loaded("-c", "shop.ini", "-b", "a:1", "-b", "it's"));
    for (size_t i = 0; i < LC_COUNT(lines); i++)
        if (strstr(text, lines[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", lines[i], text);
}

static void settings_are_printed_one_a_line_sorted_by_name(void **state)
{
    LC_AUTOFREE char *text = printed_config(loaded("-n", "two\nlines"));
    const char *before = "";
    size_t count = 0;

    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_true(strcmp(before, line) < 0);
        assert_memory_equal(line + 34, " = ", 3);
        before = line;
        count++;
    }
    assert_int_equal(count, LC_SETTING_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_flag_is_in_the_help),
        TEST(the_help_is_an_entry_for_each_setting_in_its_section),
        TEST(the_help_fits_the_width_that_is_given),
        TEST(each_setting_is_printed_with_its_value_and_where_it_came_from),
        TEST(settings_are_printed_one_a_line_sorted_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
