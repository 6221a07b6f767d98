#include "base/title.h"

#include "tests/support/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char **arguments;
static char first_argument[4096];

/* What ps shows, with the NULs at its end. */
static size_t command_line(char *into, size_t room)
{
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t n = read(fd, into, room - 1);

    close(fd);
    assert_true(n >= 0);
    into[n] = '\0';
    return (size_t)n;
}

static void the_title_is_what_ps_shows(void **state)
{
    char text[65536];

    lc_title_set("licorne: worker [%s]", "shop.wsgi");
    command_line(text, sizeof(text));
    assert_string_equal(text, "licorne: worker [shop.wsgi]");
}

static void a_shorter_title_leaves_nothing_of_the_longer(void **state)
{
    char text[65536];

    lc_title_set("licorne: a title that is rather long");
    lc_title_set("licorne");
    size_t len = command_line(text, sizeof(text));
    for (size_t i = strlen("licorne"); i < len; i++)
        assert_int_equal(text[i], '\0');
}

static void a_title_beyond_the_room_is_cut(void **state)
{
    char longer[2000], text[65536];

    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    lc_title_set("%s", longer);
    command_line(text, sizeof(text));
    assert_true(strlen(text) > 0 && strlen(text) <= 1023);
    assert_int_equal(strspn(text, "x"), strlen(text));
}

static void environment_and_arguments_survive(void **state)
{
    lc_title_set("%0900d", 0);
    assert_string_equal(getenv("LICORNE_TITLE_TEST"), "kept");
    assert_non_null(getenv("PATH"));
    assert_string_equal(arguments[0], first_argument);
}

static void the_short_name_is_the_programs(void **state)
{
    char name[32] = "";
    FILE *comm = fopen("/proc/self/comm", "r");

    lc_title_set("licorne: master");
    assert_non_null(comm);
    assert_non_null(fgets(name, sizeof(name), comm));
    fclose(comm);
    assert_string_equal(name, "licorne\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_title_is_what_ps_shows),
        cmocka_unit_test(a_shorter_title_leaves_nothing_of_the_longer),
        cmocka_unit_test(a_title_beyond_the_room_is_cut),
        cmocka_unit_test(environment_and_arguments_survive),
        cmocka_unit_test(the_short_name_is_the_programs),
    };

    if (getenv("LICORNE_TITLE_TEST") == NULL) {
        /* Once more, with an environment that holds something to lose. */
        setenv("LICORNE_TITLE_TEST", "kept", 1);
        execv("/proc/self/exe", argv);
        return 1;
    }
    snprintf(first_argument, sizeof(first_argument), "%s", argv[0]);
    lc_title_init(argc, argv);
    arguments = argv;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
