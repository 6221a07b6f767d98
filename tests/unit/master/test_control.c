/* What comes over the control socket before anybody obeys it, and the socket's file. */
#include "base/mem.h"
#include "config/config.h"
#include "master/control/door.h"
#include "master/control/frame.h"
#include "master/control/place.h"
#include "master/control/request.h"

#include <licorne/error.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- frames ---- */

static void a_frame_is_as_long_as_its_head_says(void **state)
{
    char head[LC_FRAME_HEAD];

    lc_frame_put_head(head, 258);
    assert_memory_equal(head, "\0\0\1\2", 4);
    assert_int_equal(lc_frame_length(head, 4, 1000), 262);
    assert_int_equal(lc_frame_length(head, 3, 1000), 0);
    assert_int_equal(lc_frame_length(head, 0, 1000), 0);
}

static void lengths_beyond_the_bound_and_none_are_refused(void **state)
{
    assert_int_equal(lc_frame_length("\0\0\0\0", 4, 1000), -1);
    assert_int_equal(lc_frame_length("\0\0\3\350", 4, 1000), 1004);
    assert_int_equal(lc_frame_length("\0\0\3\351", 4, 1000), -1);
    assert_int_equal(lc_frame_length("\377\377\377\377", 4, LC_REPLY_MAX), -1);
    assert_int_equal(lc_frame_length("\200\0\0\0", 4, LC_REQUEST_MAX), -1);
}

/* ---- requests ---- */

/* The words with commas between, or the reply's error; "" for what closes the connection. */
static const char *words_of(const char *json)
{
    static char text[256];
    struct lc_control_request request;
    struct lc_error err = {0};

    text[0] = '\0';
    if (lc_control_request_read(&request, json, strlen(json), &err) == 0)
        for (size_t i = 0; i < request.words.count; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                     i == 0 ? "" : ",", request.words.items[i]);
    else if (err.code == LC_E_CONFIG)
        snprintf(text, sizeof(text), "%.255s", err.text);
    lc_control_request_clear(&request);
    return text;
}

static void a_command_is_split_as_a_shell_does_and_args_follow(void **state)
{
    assert_string_equal(words_of("{\"id\":1,\"command\":\"show workers\",\"args\":[]}"),
                        "show,workers");
    assert_string_equal(
        words_of("{\"command\":\" worker  'a b' \",\"args\":[\"c d\",2]}"),
        "worker,a b,c d,2");
    assert_string_equal(words_of("{\"command\":\"\",\"args\":[\"ping\"]}"), "ping");
    assert_string_equal(words_of("{\"args\":[\"ping\"]}"), "ping");
}

static void what_has_no_words_is_answered_with_an_error(void **state)
{
    assert_string_equal(words_of("{}"), "Empty command");
    assert_string_equal(words_of("{\"command\":\"  \"}"), "Empty command");
    assert_string_equal(words_of("{\"command\":5}"), "Empty command");
    assert_string_equal(words_of("{\"command\":\"a 'b\"}"),
                        "Invalid argument: a quotation is not closed: ' is missing");
    assert_string_equal(words_of("{\"command\":\"a\",\"args\":[null]}"),
                        "Invalid argument: args must be strings or numbers");
    assert_string_equal(words_of("{\"command\":\"shutdown\",\"args\":\"quick\"}"),
                        "Invalid argument: args must be a list");
}

static void what_is_no_object_closes_the_connection(void **state)
{
    const char *bad[] = {"",           "[]",   "5",
                         "null",       "{",    "{\"a\"",
                         "{} garbage", "\xFF", "{\"command\":\"a\\u0000b\"}"};

    for (size_t i = 0; i < LC_COUNT(bad); i++)
        assert_string_equal(words_of(bad[i]), "");
}

static void nesting_without_end_is_no_object(void **state)
{
    char deep[LC_REQUEST_MAX];

    memset(deep, '[', sizeof(deep));
    deep[sizeof(deep) - 1] = '\0';
    assert_string_equal(words_of(deep), "");
}

static void any_bytes_can_be_shown_as_json(void **state)
{
    json_t *good = lc_json_text("/caf\xC3\xA9"), *bad = lc_json_text("/caf\xE9");

    assert_string_equal(json_string_value(good), "/caf\xC3\xA9");
    assert_string_equal(json_string_value(bad), "/caf\xEF\xBF\xBD");
    json_decref(good);
    json_decref(bad);
}

/* ---- the file ---- */

static char folder[64];

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/licorne-control-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

/* Fails when a test left anything behind. */
static int remove_folder(void **state)
{
    return rmdir(folder);
}

static char *in_folder(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int open_door(struct lc_door *door, const char *name, pid_t predecessor,
                     struct lc_error *err)
{
    struct lc_config config = {.control_socket = in_folder(name),
                               .control_socket_mode = 0640};

    return lc_door_open(door, &config, predecessor, err);
}

/* As a server does that stops. */
static void close_door(struct lc_door *door)
{
    lc_door_remove(door);
    lc_door_close(door);
}

static bool is_there(const char *name)
{
    struct stat about;

    return lstat(in_folder(name), &about) == 0 && S_ISSOCK(about.st_mode);
}

static void the_socket_has_its_mode_whatever_the_umask(void **state)
{
    struct lc_door door;
    struct stat about;
    mode_t kept = umask(077);

    assert_int_equal(open_door(&door, "a.ctl", 0, NULL), 0);
    umask(kept);
    assert_int_equal(stat(in_folder("a.ctl"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0640);
    assert_int_equal(lc_place_owner(door.path), getpid());
    close_door(&door);
    assert_false(is_there("a.ctl"));
}

static void a_living_socket_is_not_stolen_and_a_dead_one_is_replaced(void **state)
{
    struct lc_door first, second;
    struct lc_error err;

    assert_int_equal(open_door(&first, "a.ctl", 0, NULL), 0);
    assert_int_equal(open_door(&second, "a.ctl", 0, &err), -1);
    assert_int_equal(err.sys, EADDRINUSE);
    lc_door_close(&first); /* as if it had been killed: the file stays */
    assert_true(is_there("a.ctl"));
    assert_int_equal(open_door(&second, "a.ctl", 0, NULL), 0);
    close_door(&second);
}

static void what_is_no_socket_stays(void **state)
{
    struct lc_door door;
    struct lc_error err;
    FILE *file = fopen(in_folder("a.ctl"), "w");

    assert_non_null(file);
    fclose(file);
    assert_int_equal(open_door(&door, "a.ctl", 0, &err), -1);
    assert_non_null(strstr(err.text, "is not a socket"));
    assert_int_equal(unlink(in_folder("a.ctl")), 0);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct lc_door door;
    struct lc_error err;
    char name[120];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(open_door(&door, name, 0, &err), -1);
    assert_non_null(strstr(err.text, "longer than 107 bytes"));
}

static void a_successor_waits_beside_and_takes_the_place_when_it_is_free(void **state)
{
    struct lc_door old, new;

    assert_int_equal(open_door(&old, "a.ctl", 0, NULL), 0);
    assert_int_equal(open_door(&new, "a.ctl", getpid(), NULL), 0);
    assert_true(is_there("a.ctl.2"));
    assert_int_equal(lc_door_promote(&new, NULL), -1); /* the old one lives */
    close_door(&old);
    assert_int_equal(lc_door_promote(&new, NULL), 0);
    assert_true(is_there("a.ctl"));
    assert_false(is_there("a.ctl.2"));
    close_door(&new);
}

static void only_our_own_file_is_removed(void **state)
{
    struct lc_door old, new;

    assert_int_equal(open_door(&old, "a.ctl", 0, NULL), 0);
    assert_int_equal(unlink(in_folder("a.ctl")), 0);
    assert_int_equal(open_door(&new, "a.ctl", 0, NULL), 0);
    close_door(&old);
    assert_true(is_there("a.ctl"));
    close_door(&new);
}

/* ---- the default places ---- */

static void a_folder_that_others_may_write_is_not_ours(void **state)
{
    assert_true(lc_place_is_ours(folder));
    assert_int_equal(chmod(folder, 0770), 0);
    assert_false(lc_place_is_ours(folder));
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(symlink(folder, in_folder("link")), 0);
    assert_false(lc_place_is_ours(in_folder("link")));
    assert_int_equal(unlink(in_folder("link")), 0);
}

static void the_second_server_in_a_place_has_a_name_of_its_own(void **state)
{
    const struct lc_config config = {.control_socket_mode = 0600};
    LC_AUTOFREE char *own = lc_place_path(folder, getpid());
    struct lc_door first, second;

    setenv("RUNTIME_DIRECTORY", folder, 1);
    assert_int_equal(lc_door_open(&first, &config, 0, NULL), 0);
    struct lc_error err = {0};
    assert_int_equal(lc_door_open(&second, &config, 0, &err), 0);
    assert_string_equal(first.path, in_folder("licorne.ctl"));
    assert_string_equal(second.path, own);
    close_door(&first);
    close_door(&second);
    unsetenv("RUNTIME_DIRECTORY");
}

static void sockets_of_dead_servers_are_swept_up(void **state)
{
    struct lc_door dead, foreign;

    /* No process has this number: the kernel's largest is 2^22. */
    assert_int_equal(open_door(&dead, "licorne-99999999.ctl", 0, NULL), 0);
    lc_door_close(&dead);
    assert_int_equal(open_door(&foreign, "licorne-99999999.ctl.old", 0, NULL), 0);
    lc_place_sweep(folder);
    assert_false(is_there("licorne-99999999.ctl"));
    assert_true(is_there("licorne-99999999.ctl.old"));
    close_door(&foreign);
}

#define IN_A_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_as_long_as_its_head_says),
        cmocka_unit_test(lengths_beyond_the_bound_and_none_are_refused),
        cmocka_unit_test(a_command_is_split_as_a_shell_does_and_args_follow),
        cmocka_unit_test(what_has_no_words_is_answered_with_an_error),
        cmocka_unit_test(what_is_no_object_closes_the_connection),
        cmocka_unit_test(nesting_without_end_is_no_object),
        cmocka_unit_test(any_bytes_can_be_shown_as_json),
        IN_A_FOLDER(the_socket_has_its_mode_whatever_the_umask),
        IN_A_FOLDER(a_living_socket_is_not_stolen_and_a_dead_one_is_replaced),
        IN_A_FOLDER(what_is_no_socket_stays),
        IN_A_FOLDER(a_path_that_is_too_long_is_refused),
        IN_A_FOLDER(a_successor_waits_beside_and_takes_the_place_when_it_is_free),
        IN_A_FOLDER(only_our_own_file_is_removed),
        IN_A_FOLDER(a_folder_that_others_may_write_is_not_ours),
        IN_A_FOLDER(the_second_server_in_a_place_has_a_name_of_its_own),
        IN_A_FOLDER(sockets_of_dead_servers_are_swept_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
