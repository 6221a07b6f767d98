#include "config/remote.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct lc_remote at;
static struct lc_error err;

static void assert_syslog(const char *text, enum lc_remote_kind kind, const char *where,
                          unsigned port)
{
    assert_int_equal(lc_remote_parse_syslog(text, &at, &err), 0);
    assert_int_equal(at.kind, kind);
    assert_string_equal(at.path[0] != '\0' ? at.path : at.host, where);
    assert_int_equal(at.port, port);
}

static void syslog_is_a_socket_of_unix_udp_or_tcp(void **state)
{
    assert_syslog("unix:///dev/log", LC_REMOTE_UNIX, "/dev/log", 0);
    assert_syslog("unix:///dev/log#dgram", LC_REMOTE_UNIX_DGRAM, "/dev/log", 0);
    assert_syslog("unix:///dev/log#stream", LC_REMOTE_UNIX, "/dev/log", 0);
    assert_syslog("udp://Logs.Example:1514", LC_REMOTE_UDP, "logs.example", 1514);
    assert_syslog("tcp://10.0.0.1", LC_REMOTE_TCP, "10.0.0.1", 514);
    assert_syslog("udp://[::1]:99", LC_REMOTE_UDP, "::1", 99);
    assert_syslog("udp://[::1]", LC_REMOTE_UDP, "::1", 514);
    assert_syslog("udp://", LC_REMOTE_UDP, "localhost", 514);
}

static void what_names_no_syslog_is_refused(void **state)
{
    static const char *const wrong[] = {"localhost",     "http://h",      "udp://h:x",
                                        "udp://h:0",     "udp://h:65536", "udp://[::1",
                                        "udp://[::1]x1", "unix://",       ""};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(lc_remote_parse_syslog(wrong[i], &at, &err), -1);
}

static void a_path_must_fit_the_kernels_name(void **state)
{
    char text[200] = "unix://";

    memset(text + 7, 'x', 107);
    assert_int_equal(lc_remote_parse_syslog(text, &at, &err), 0);
    text[7 + 107] = 'x';
    assert_int_equal(lc_remote_parse_syslog(text, &at, &err), -1);
}

static void statsd_is_a_host_or_a_datagram_socket(void **state)
{
    assert_int_equal(lc_remote_parse_statsd("Localhost", &at, &err), 0);
    assert_string_equal(at.host, "localhost");
    assert_int_equal(at.port, 8125);
    assert_int_equal(lc_remote_parse_statsd("h:99", &at, &err), 0);
    assert_int_equal(at.port, 99);
    assert_int_equal(lc_remote_parse_statsd("unix:///run/s", &at, &err), 0);
    assert_int_equal(at.kind, LC_REMOTE_UNIX_DGRAM);
    assert_int_equal(lc_remote_parse_statsd("h:9x", &at, &err), -1);
}

static void facilities_have_numbers(void **state)
{
    assert_int_equal(lc_syslog_facility("user"), 1);
    assert_int_equal(lc_syslog_facility("LOCAL3"), 19);
    assert_int_equal(lc_syslog_facility("local8"), -1);
    assert_int_equal(lc_syslog_facility(""), -1);
    assert_int_equal(lc_syslog_facility(NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syslog_is_a_socket_of_unix_udp_or_tcp),
        cmocka_unit_test(what_names_no_syslog_is_refused),
        cmocka_unit_test(a_path_must_fit_the_kernels_name),
        cmocka_unit_test(statsd_is_a_host_or_a_datagram_socket),
        cmocka_unit_test(facilities_have_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
