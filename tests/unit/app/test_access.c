#include "app/access.h"
#include "base/ipc.h"
#include "base/log.h"
#include "config/config.h"
#include "tests/unit/app/given_request.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int logger = -1; /* the end where records arrive */
static int sender = -1;

static int open_log(void **state)
{
    int ends[2];

    (void)state;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    logger = ends[0];
    sender = ends[1];
    lc_log_open(sender, LC_INFO);
    return 0;
}

static int close_log(void **state)
{
    (void)state;
    lc_log_open(-1, LC_INFO);
    close(logger);
    close(sender);
    return 0;
}

static struct lc_access_log *given_access_log(const char *format)
{
    struct lc_config config = {.accesslog = (char *)"-",
                               .access_log_format = (char *)format};
    struct lc_error err;
    struct lc_access_log *log = lc_access_log_create(&config, &err);

    assert_non_null(log);
    return log;
}

/* The records of one message: their texts one behind another; "" when there is none. */
static const char *received(void)
{
    static char message[LC_MSG_MAX], text[LC_MSG_MAX + 1];
    struct lc_msg_head head;
    ssize_t len = lc_channel_receive(logger, &head, message, sizeof(message));
    size_t used = 0;

    for (ssize_t at = 0; at < len;) {
        struct lc_record_head record;

        memcpy(&record, message + at, sizeof(record));
        assert_int_equal(head.type, LC_MSG_RECORDS);
        assert_int_equal(record.stream, LC_STREAM_ACCESS);
        assert_true(record.length <= len - at - (ssize_t)sizeof(record));
        memcpy(text + used, message + at + sizeof(record), record.length);
        used += record.length;
        at += (ssize_t)(sizeof(record) + record.length);
    }
    text[used] = '\0';
    return text;
}

static void the_lines_of_a_turn_leave_together(void **state)
{
    struct lc_access_log *log = given_access_log("%(m)s %(U)s %(s)s %(D)s");
    struct lc_request *request = given_request("GET", "/a");

    (void)state;
    lc_access_log_write(log, request, request->started_us + 17);
    request = given_request("PUT", "/b");
    request->response.status = 201;
    lc_access_log_write(log, request, request->started_us + 18);
    assert_string_equal(received(), "");
    lc_log_flush();
    assert_string_equal(received(), "GET /a 200 17\nPUT /b 201 18\n");
    assert_string_equal(received(), "");
    lc_access_log_destroy(log);
}

static void a_line_is_cut_where_no_message_could_hold_it(void **state)
{
    struct lc_access_log *log = given_access_log("<%(q)s%(q)s>");
    static char target[60000];

    (void)state;
    memset(target, 'x', sizeof(target) - 1);
    target[0] = '/';
    target[1] = '?';
    struct lc_request *request = given_request("GET", target);
    lc_access_log_write(log, request, request->started_us);
    lc_log_flush();
    const char *line = received();
    assert_int_equal(line[0], '<');
    assert_true(strlen(line) > sizeof(target));
    assert_true(strlen(line) < LC_MSG_MAX);
    assert_int_equal(line[strlen(line) - 1], '\n');
    lc_access_log_destroy(log);
}

static void a_short_line_is_whole_whatever_it_might_have_become(void **state)
{
    struct lc_access_log *log = given_access_log("<%(q)s>");
    static char target[40000]; /* four times that would not fit */

    (void)state;
    memset(target, 'x', sizeof(target) - 1);
    target[0] = '/';
    target[1] = '?';
    struct lc_request *request = given_request("GET", target);
    lc_access_log_write(log, request, request->started_us);
    lc_log_flush();
    assert_int_equal(strlen(received()), sizeof(target) - 3 + strlen("<>\n"));
    lc_access_log_destroy(log);
}

static void without_a_file_there_is_no_access_log(void **state)
{
    struct lc_config config = {.accesslog = NULL, .access_log_format = (char *)"%(h)s"};
    struct lc_error err = {.code = LC_E_SYSTEM};

    (void)state;
    assert_null(lc_access_log_create(&config, &err));
    assert_int_equal(err.code, LC_E_NONE);
    config.accesslog = (char *)"";
    assert_null(lc_access_log_create(&config, &err));
    assert_int_equal(err.code, LC_E_NONE);
    lc_access_log_destroy(NULL);
}

static void a_wrong_format_names_the_setting(void **state)
{
    struct lc_config config = {.accesslog = (char *)"-",
                               .access_log_format = (char *)"%(h)s %(D)"};
    struct lc_error err = {.code = LC_E_NONE};

    (void)state;
    assert_null(lc_access_log_create(&config, &err));
    assert_int_equal(err.code, LC_E_CONFIG);
    assert_string_equal(
        err.text, "access_log_format: offset 10: the format ends within a conversion");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_lines_of_a_turn_leave_together, open_log,
                                        close_log),
        cmocka_unit_test_setup_teardown(a_line_is_cut_where_no_message_could_hold_it,
                                        open_log, close_log),
        cmocka_unit_test_setup_teardown(
            a_short_line_is_whole_whatever_it_might_have_become, open_log, close_log),
        cmocka_unit_test(without_a_file_there_is_no_access_log),
        cmocka_unit_test(a_wrong_format_names_the_setting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
