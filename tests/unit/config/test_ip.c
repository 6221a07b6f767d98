/* What is an address, and how it is written. */
#include "config/ip.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *read(const char *text)
{
    static char out[INET6_ADDRSTRLEN];
    struct lc_ip ip;

    if (!lc_ip_read(lc_slice(text), &ip))
        return "";
    lc_ip_text(&ip, out);
    return out;
}

static void addresses_are_written_in_one_form(void **state)
{
    assert_string_equal(read("192.0.2.1"), "192.0.2.1");
    assert_string_equal(read("0.0.0.0"), "0.0.0.0");
    assert_string_equal(read("255.255.255.255"), "255.255.255.255");
    assert_string_equal(read("2001:DB8:0:0::0:1"), "2001:db8::1");
    assert_string_equal(read("::"), "::");
    assert_string_equal(read("::1"), "::1");
}

static void an_ipv4_address_in_ipv6_is_the_ipv4_address(void **state)
{
    assert_string_equal(read("::ffff:192.0.2.1"), "192.0.2.1");
    assert_string_equal(read("::FFFF:c000:0201"), "192.0.2.1");
    assert_string_equal(read("0:0:0:0:0:ffff:192.0.2.1"), "192.0.2.1");
    assert_string_equal(read("::192.0.2.1"), "192.0.2.1");
    assert_string_equal(read("::fffe:192.0.2.1"), "::fffe:c000:201");
}

static void what_is_no_address_is_none(void **state)
{
    const char *bad[] = {
        "",
        "1.2.3",
        "1.2.3.4.5",
        "010.1.1.1",
        "1.2.3.04",
        "256.1.1.1",
        "0x7f.0.0.1",
        "2130706433",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:80",
        "[::1]",
        "::1%lo",
        ":::",
        "1::2::3",
        "12345::",
        "::ffff:1.2.3",
        "unknown",
        "_x",
        "-1.2.3.4",
        "1.2.3.4/8",
        "::ffff:010.1.1.1",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };

    for (size_t i = 0; i < LC_COUNT(bad); i++)
        assert_string_equal(read(bad[i]), "");
}

static void a_nul_ends_no_address(void **state)
{
    struct lc_ip ip;

    assert_false(lc_ip_read((struct lc_slice){"1.2.3.4\0x", 9}, &ip));
    assert_false(lc_ip_read((struct lc_slice){NULL, 0}, &ip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written_in_one_form),
        cmocka_unit_test(an_ipv4_address_in_ipv6_is_the_ipv4_address),
        cmocka_unit_test(what_is_no_address_is_none),
        cmocka_unit_test(a_nul_ends_no_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
