#include "config/address.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct lc_address parsed(const char *text)
{
    struct lc_address address;
    struct lc_error err = {0};

    if (lc_address_parse(text, &address, &err) < 0)
        fail_msg("'%s': %s", text, err.text);
    return address;
}

static void hosts_and_ports_are_read_as_gunicorn_reads_them(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
    } rows[] = {
        {"127.0.0.1:8000", "127.0.0.1", 8000},
        {"127.0.0.1", "127.0.0.1", 8000},
        {"LocalHost:80", "localhost", 80},
        {"tcp://localhost:80", "localhost", 80},
        {"tcp://", "0.0.0.0", 8000},
        {"", "0.0.0.0", 8000},
        {":8000", "", 8000},
        {"a:1:9", "a", 1},
        {"18104", "18104", 8000},
        {"a:0", "a", 0},
        {"a:65535", "a", 65535},
        {"[::]:80", "::", 80},
        {"[FE80::1]", "fe80::1", 8000},
        {"tcp://[::1]:9", "::1", 9},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lc_address address = parsed(rows[i].text);

        assert_int_equal(address.kind, LC_ADDRESS_TCP);
        assert_string_equal(address.host, rows[i].host);
        assert_int_equal(address.port, rows[i].port);
    }
}

static void two_slashes_after_unix_are_no_part_of_the_path(void **state)
{
    static const char *const rows[][2] = {
        {"unix:/run/x", "/run/x"}, {"unix:///run/x", "/run/x"}, {"unix://run/x", "run/x"},
        {"unix:run/x", "run/x"},   {"unix:a:b", "a:b"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lc_address address = parsed(rows[i][0]);

        assert_int_equal(address.kind, LC_ADDRESS_UNIX);
        assert_string_equal(address.path, rows[i][1]);
    }
}

static void fd_names_an_inherited_descriptor(void **state)
{
    struct lc_address address = parsed("fd://3");

    assert_int_equal(address.kind, LC_ADDRESS_FD);
    assert_int_equal(address.fd, 3);
}

static void wrong_addresses_are_refused_with_a_reason(void **state)
{
    static const char *const rows[][2] = {
        {"a:b", "'b' is not a valid port number."},
        {"a:", "'' is not a valid port number."},
        {"::1", "'' is not a valid port number."},
        {"a:65536", "'65536' is not a valid port number."},
        {"a:-1", "'-1' is not a valid port number."},
        {"a: 80", "' 80' is not a valid port number."},
        {"a:99999999999999999999", "'99999999999999999999' is not a valid port number."},
        {"[::1]:x", "'x' is not a valid port number."},
        {"[]:80", "'[]:80' is not a valid address: write [IPV6]:PORT"},
        {"x[::1]:80", "'x[::1]:80' is not a valid address: write [IPV6]:PORT"},
        {"[::1]80", "'[::1]80' is not a valid address: write [IPV6]:PORT"},
        {"]a[b]", "']a[b]' is not a valid address: write [IPV6]:PORT"},
        {"fd://x", "'x' is not a valid file descriptor."},
        {"fd://", "'' is not a valid file descriptor."},
        {"fd://-1", "'-1' is not a valid file descriptor."},
        {"fd://99999999999", "'99999999999' is not a valid file descriptor."},
        {"unix:", "a path must follow 'unix:'"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lc_address address;
        struct lc_error err = {0};

        assert_int_equal(lc_address_parse(rows[i][0], &address, &err), -1);
        assert_int_equal(err.code, LC_E_CONFIG);
        assert_string_equal(err.text, rows[i][1]);
    }
}

static void what_the_kernel_cannot_hold_is_refused_not_cut(void **state)
{
    struct lc_address address;
    struct lc_error err = {0};
    char text[400];

    snprintf(text, sizeof(text), "unix:/%0106d", 0);
    assert_int_equal(lc_address_parse(text, &address, &err), 0);
    assert_int_equal(strlen(address.path), 107);
    snprintf(text, sizeof(text), "unix:/%0107d", 0);
    assert_int_equal(lc_address_parse(text, &address, &err), -1);
    assert_non_null(strstr(err.text, "is too long: 108 bytes"));
    snprintf(text, sizeof(text), "%0256d:80", 0);
    assert_int_equal(lc_address_parse(text, &address, &err), -1);
    assert_non_null(strstr(err.text, "is too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports_are_read_as_gunicorn_reads_them),
        cmocka_unit_test(two_slashes_after_unix_are_no_part_of_the_path),
        cmocka_unit_test(fd_names_an_inherited_descriptor),
        cmocka_unit_test(wrong_addresses_are_refused_with_a_reason),
        cmocka_unit_test(what_the_kernel_cannot_hold_is_refused_not_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
