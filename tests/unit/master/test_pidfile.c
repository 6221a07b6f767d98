#include "master/pidfile.h"

#include "base/fd.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[80];

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/licorne-pidfile-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/pid", folder);
    return 0;
}

/* Fails when a test left anything but the pidfile behind, a draft for example. */
static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

static void given_content(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_content(const char *expected)
{
    char text[64] = "";
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

/* A process that was reaped: its number is free. */
static pid_t dead_process(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void it_holds_the_pid_and_can_be_read_by_all(void **state)
{
    struct stat about;
    mode_t kept = umask(077);

    assert_int_equal(lc_pidfile_create(path, 1234567, NULL), 0);
    umask(kept);
    assert_content("1234567\n");
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0644);
}

static void a_living_process_keeps_its_file(void **state)
{
    struct lc_error err;
    LC_AUTOFREE char *text = lc_printf("%d\n", (int)getppid());
    LC_AUTOFREE char *expected = lc_printf(
        "Already running on PID %d (or pid file '%s' is stale)", (int)getppid(), path);

    given_content(text);
    assert_int_equal(lc_pidfile_create(path, getpid(), &err), -1);
    assert_string_equal(err.text, expected);
    assert_content(text);
}

static void a_dead_process_and_nonsense_are_replaced(void **state)
{
    LC_AUTOFREE char *dead = lc_printf("%d\n", (int)dead_process());
    const char *contents[] = {
        dead, "", "licorne\n", "0\n", "-1\n", "12x\n", "99999999999999999999\n"};

    for (size_t i = 0; i < LC_COUNT(contents); i++) {
        given_content(contents[i]);
        assert_int_equal(lc_pidfile_create(path, 1234567, NULL), 0);
        assert_content("1234567\n");
    }
}

static void a_fifo_is_not_waited_for(void **state)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10); /* ends the test if it does */
    assert_int_equal(lc_pidfile_create(path, 1234567, NULL), 0);
    alarm(0);
    assert_content("1234567\n");
}

static void our_own_file_is_left_alone(void **state)
{
    given_content("1234567");
    assert_int_equal(lc_pidfile_create(path, 1234567, NULL), 0);
    assert_content("1234567");
}

static void a_missing_folder_is_named(void **state)
{
    struct lc_error err;

    assert_int_equal(lc_pidfile_create("/nowhere/at/all/pid", 1, &err), -1);
    assert_string_equal(err.text, "/nowhere/at/all doesn't exist. Can't create pidfile.");
}

static void only_our_own_file_is_removed(void **state)
{
    given_content("1234567\n");
    lc_pidfile_remove(path, 7654321);
    assert_int_equal(access(path, F_OK), 0);
    lc_pidfile_remove(path, 1234567);
    assert_int_equal(access(path, F_OK), -1);
}

#define IN_A_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(it_holds_the_pid_and_can_be_read_by_all),
        IN_A_FOLDER(a_living_process_keeps_its_file),
        IN_A_FOLDER(a_dead_process_and_nonsense_are_replaced),
        IN_A_FOLDER(a_fifo_is_not_waited_for),
        IN_A_FOLDER(our_own_file_is_left_alone),
        IN_A_FOLDER(only_our_own_file_is_removed),
        cmocka_unit_test(a_missing_folder_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
